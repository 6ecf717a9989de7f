@@ What Kysely 0.28, Drizzle 0.45 and pg-promise 12 sent, with the columns that the table has here.

@params ["up", "bob@x"]
insert into "users" ({q}, "email") values ($1, $2) on conflict ("email") do update set {q} = "excluded".{q} returning {q}, "id"

@params ["1", "1"]
update "users" set {q} = upper({q}), "age" = "age" + $1 where "id" = $2 returning {q}, "age"

@params ["2"]
select "u"."id", (select coalesce(json_agg(agg), '[]') from (select p.total, u.{q} as un from orders as p where p.user_id = u.id order by p.id) as agg) as "orders" from "users" as "u" order by "u"."id" limit $1

merge into "users" as "t" using (values (1, 'mg')) as s(i, n) on "t"."id" = "s"."i" when matched then update set {q} = "s"."n"

@params ["mg", "%o%"]
select "id", {q} from "users" where ("users".{q} = $1 or "users".{q} ilike $2) order by "users".{q} desc

@params ["2"]
select "users"."id", "users".{q}, "users"."email", "users"."age", "users"."created_at", "users_posts"."data" as "orders" from "users" "users" left join lateral (select coalesce(json_agg(json_build_array("users_posts"."id", "users_posts"."user_id", "users_posts"."total")), '[]'::json) as "data" from "orders" "users_posts" where "users_posts"."user_id" = "users"."id") "users_posts" on true order by "users"."id" limit $1

@star
@params ["1"]
select "orders"."id", "orders"."user_id", "orders"."total", "posts_user"."data" as "user" from "orders" "orders" left join lateral (select json_build_array("posts_user".{q}) as "data" from (select * from "users" "posts_user" where "posts_user"."id" = "orders"."user_id" limit $1) "posts_user") "posts_user" on true order by "orders"."id"

select left({q}, 1), count(*) from "users" group by 1 order by 1

update "users" as t set {q}=v.{q} from (values(3,'pu')) as v("id",{q}) WHERE v.id = t.id RETURNING t.id, t.{c}
