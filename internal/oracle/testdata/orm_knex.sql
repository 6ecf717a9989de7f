@@ What Knex 3, Objection 3 and Bookshelf 1 sent, with the columns that the table has here.

@params ["Ann Lee", "Bob Ray", "%oe%"]
select "id" from "users" where {q} = $1 or {q} in ($2) or {q} ilike $3 order by {q} desc

@params ["1"]
update "users" set {q} = upper({q}), "age" = "age" + 1 where "id" = $1 returning "id", {q}

@params ["77", "bob@x", "up2"]
insert into "users" ("age", "email", {q}) values ($1, $2, $3) on conflict ("email") do update set {q} = excluded.{q} returning "id", {q}, "age"

select "p"."total", "u".{q} as "n" from "orders" as "p" inner join "users" as "u" on "u"."id" = "p"."user_id" order by "p"."id" asc

select left({q}, 1) as l, count(*) as "c" from "users" group by "l" order by "l" asc

@star
@params ["4"]
with "w" as (select "id", {q} from "users" where "id" < $1) select * from "w" order by "id" asc

select max({q}) as "m", min({q}) as "mi", count(distinct {q}) as "c" from "users"

@@ Table orders has a column name, too.
@auto refused
@params ["og"]
select "total" from "orders" where "orders"."user_id" in (select "users"."id" from "users" where {q} = $1) order by "id" asc

select count(*) as "count" from (select {q} from "users") as "temp"
