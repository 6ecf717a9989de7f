@@ What MikroORM 6.4 sent, with the columns that the table has here.

select "u0"."id" from "users" as "u0" where "u0".{q} in ('Ann Lee', 'Bob Ray') order by "u0"."id" asc

select "u0"."id" from "users" as "u0" where ("u0".{q} = 'Ann Lee' or "u0"."email" is null) order by "u0"."id" asc

@star
select "p0".*, "u1"."id" as "u1__id", "u1".{q} as "u1__name", "u1"."email" as "u1__email", "u1"."age" as "u1__age" from "orders" as "p0" left join "users" as "u1" on "p0"."user_id" = "u1"."id" order by "u1".{q} asc, "p0"."id" asc

delete from "users" where {q} = 'm2' and 1 = 0

insert into "users" ("email", {q}) values ('bob@x', 'um1'), ('um@x', 'um2') on conflict ("email") do update set {q} = excluded.{q} returning "id", "age"

select "u".{q} from "users" as "u" where "u".{q} like 'i%' order by "u".{q} asc

select count(*) as "count" from "users" as "u0" where "u0".{q} = 'upd'

@star
select "u0".* from "users" as "u0" order by "u0".{q} asc limit 1

insert into "users" ({q}, "email") values ('x', 'd@x') returning "id"
