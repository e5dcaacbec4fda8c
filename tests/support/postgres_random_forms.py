"""The forms of random definitions of a PostgreSQL database: conditions, queries and bodies, one a line."""

# ruff: noqa: E501 (one a line)
# Each is true or false of a row; {p} and {q} are others. What a version does not know yet is refused, and not drawn.
CONDITIONS = """
s IN ('open', 'closed')
s NOT IN ('a', 'b', 'c')
s IN ('one')
s IN ('a', NULL)
x IN ('a', s)
c IN ('a', 'b')
a IN (1, 2, 3)
b IN (1, 3000000000)
n IN (1, 2.5)
e IN ('sad', 'ok')
d IN ('2020-01-01', '2021-01-01')
a::smallint IN (1, 2)
(j ->> 'k') IN ('x', 'y')
a BETWEEN 1 AND 9
a BETWEEN 1 AND 9 AND a <> 5
s BETWEEN 'a' AND 'z' OR s IS NULL
d NOT BETWEEN '2020-01-01' AND '2020-12-31'
a BETWEEN SYMMETRIC 9 AND b
x LIKE 'a%'
s NOT LIKE '%\\_%'
x ILIKE 'A%'
x LIKE 'a!%' ESCAPE '!'
x SIMILAR TO '(a|b)%'
s ~ '^[a-z]+$'
s LIKE ANY (ARRAY['a%', 'b%'])
coalesce(s, 'x') = 'y'
coalesce(a, b, 0) > 1
nullif(s, '') IS NOT NULL
nullif(a, 0) > 3
greatest(a, b, 7) > least(a, 3)
s = ANY (ARRAY['a', 'b'])
s = ANY ('{a,b}'::varchar[])
s = ALL (words)
x = ANY (words)
a = ANY ('{1,2,3}')
a <> ALL (arr)
arr && ARRAY[1, 2]
arr[1] = 3
arr[1:2] = '{1,2}'
words @> ARRAY['a', 'b']::varchar[]
ARRAY[a, b] = ARRAY[1, 2]::bigint[]
array_length(arr, 1) IN (1, 2)
ROW(a, b) < ROW(1, 2)
(a, x) = (1, 'z')
(a, s) IN ((1, 'a'), (2, 'b'))
ROW(a, s) IS DISTINCT FROM ROW(1, 'a')
(d, d + 1) OVERLAPS (date '2020-01-01', date '2021-01-01')
(ts, interval '1 day') OVERLAPS (ts, ts)
extract(year FROM d) > 2000
extract(epoch FROM ts) < 1e9
date_part('dow', ts) IN (0, 6)
date_trunc('month', ts) = ts
(tz AT TIME ZONE 'UTC') > ts
(ts AT TIME ZONE 'Europe/Berlin') IS NOT NULL
tz > '2020-01-01 10:00+02'
ts > timestamp '2020-01-01 10:00'
d > '2020-01-01' AND d < 'infinity'
i > '1 day'
i < interval '-1 day 02:03:04'
i = interval '1' hour
m > '1.5'
m = 2.5::numeric::money
n > 1
n > 1.50
n::int = 3
f > 1e10
f = 'NaN'
r < 0.1
f + n::float8 > a
a / 2.0 > n
CASE WHEN a > 1 THEN o ELSE s IN ('a', 'b') END
CASE s WHEN 'a' THEN true WHEN 'b' THEN false END
CASE WHEN s = 'a' THEN 1 WHEN s = 'b' THEN 2.5 ELSE NULL END > 1
o
NOT o
o IS NOT TRUE
o IS UNKNOWN
(a > 1) = o
a > 1 IS TRUE
a IS DISTINCT FROM b
a IS NOT DISTINCT FROM NULL
a IS NULL
a + 1 > b * 2
-a < - 5
a - -1 > 0
a % 2 = 0
a & 3 = 1
a << 2 > 8
@ a > 3
|/ f > 2
2 ^ a > 3
a OPERATOR(pg_catalog.+) 1 > 2
x COLLATE "C" > 'a'
lower(x) COLLATE "POSIX" < s
c = 'ab'
c || 'x' <> s
s || a = 'x1'
a::text || s = 'x'
char_length(s) > 3
substring(x from 2 for 3) = 'a'
substring(x from '[a-z]+') IS NULL
position('a' in x) > 0
trim(both ' ' from x) <> ''
overlay(x placing 'z' from 2) <> ''
x IS NFC NORMALIZED
upper(s) = upper('b') AND x = lower(s)
steady(s) > 1
j @> '{"a": 1}'
j ? 'a'
j -> 'a' ->> 'b' = 'c'
j #>> '{a,b}' = 'c'
(j ->> 'n')::numeric > 1.0
jsonb_path_exists(j, '$.a ? (@ > 1)')
j['a'] = '1'
e > 'sad'
e::text = 'sad'
u = '00000000-0000-0000-0000-000000000001'
net << '10.0.0.0/8'
bits = B'1010'
bits & '1100' = X'A'
span @> 3
span && int4range(1, 5, '[]')
"odd ""name" > 1
x = E'a\\'b\\\\c\\n' OR x = 'd"e'
x = $$o'clock$$ OR x = U&'\\00fc'
s = 'a'::text
s::text = 'a'::varchar
s::varchar(3) = 'abc'
s = 'a'::varchar(5)::text
a = '1'
b = a
a::bigint = b::int
a = 1::smallint
n = a
d = ts
ts = tz::timestamp
cast(x AS int) = a
bool 't' = o
o = 'yes'
a > 1_000 OR a IN (0x1F, 0o17, 0b101)
x IS JSON
x IS NOT JSON ARRAY WITH UNIQUE KEYS OR s IS JSON SCALAR
JSON_OBJECT('k': a, 'z' VALUE s ABSENT ON NULL WITH UNIQUE KEYS RETURNING jsonb) = '1'
JSON_ARRAY(a, s NULL ON NULL RETURNING jsonb) @> '[1]'
JSON_ARRAY(x FORMAT JSON, b)::text <> ''
JSON_EXISTS(j, '$.a ? (@ > $v)' PASSING a AS v)
JSON_EXISTS(j, 'strict $.a' UNKNOWN ON ERROR)
JSON_VALUE(j, '$.a' RETURNING int DEFAULT 0 ON EMPTY ERROR ON ERROR) BETWEEN 1 AND 9
JSON_VALUE(j, '$.k' RETURNING varchar(5) DEFAULT 'none' ON ERROR) IN ('x', 'y')
JSON_QUERY(j, '$.a[*]' WITH CONDITIONAL WRAPPER EMPTY ARRAY ON EMPTY) = '[]'
JSON_QUERY(j, '$.a' RETURNING text OMIT QUOTES NULL ON ERROR) = 'x'
JSON_SCALAR(a)::text = '1' AND JSON_SERIALIZE(j RETURNING text) <> ''
JSON(x WITH UNIQUE KEYS) IS NOT NULL
(ts AT LOCAL) > tz
casefold(x) = 'a' AND crc32(convert_to(s, 'UTF8')) > 1
array_reverse(arr) = arr
{p} AND {q}
{p} OR {q}
{p} AND {q} AND a > 1
{p} OR ({q} AND a > 1) OR o
NOT ({p})
NOT ({p} AND {q})
({p}) IS NOT FALSE
({p}) = ({q})
({p} AND {q}) AND ({q} OR {p})
coalesce({p}, {q})
CASE WHEN {p} THEN {q} ELSE NOT o END
""".strip().splitlines()

# Queries over {t}; {p} is a condition.
QUERIES = """
SELECT * FROM {t} WHERE {p}
SELECT id, a AS "odd ""name", s::text FROM {t} WHERE {p}
SELECT id FROM {t} WHERE {p} UNION SELECT NULL
SELECT id, NULL AS z FROM {t} WHERE {p} UNION ALL SELECT 1, 'x'
SELECT a FROM {t} WHERE {p} INTERSECT SELECT 1.5 EXCEPT SELECT 2
SELECT 'x' AS x, 1 AS y, NULL AS z FROM {t} WHERE {p}
SELECT s, count(*), sum(n) FILTER (WHERE {p}) FROM {t} GROUP BY s HAVING count(*) > 1
SELECT a, b, s, grouping(a, b), count(*) FROM {t} WHERE {p} GROUP BY GROUPING SETS ((a, b), (s), ())
SELECT a, b, sum(n) FROM {t} WHERE {p} GROUP BY ROLLUP (a, b)
SELECT a, b, sum(n) FROM {t} WHERE {p} GROUP BY CUBE (a, (b, a)), b
SELECT DISTINCT ON (a) a, b FROM {t} WHERE {p} ORDER BY a, b DESC NULLS LAST LIMIT 10 OFFSET 1
SELECT a, b FROM {t} WHERE {p} ORDER BY a FETCH FIRST 3 ROWS WITH TIES
SELECT id, rank() OVER w, sum(a) OVER (w ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM {t} WHERE {p} WINDOW w AS (PARTITION BY s ORDER BY a)
SELECT id, lag(a, 1, 0) OVER (ORDER BY b RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW EXCLUDE TIES) FROM {t} WHERE {p}
WITH RECURSIVE w(k, v) AS (SELECT 1, 'a'::text UNION ALL SELECT k + 1, v || 'b' FROM w WHERE k < 5) SELECT k, v FROM w JOIN {t} ON w.k = {t}.id WHERE {p}
WITH RECURSIVE w AS (SELECT id, a FROM {t} UNION SELECT t.id, t.a FROM {t} t JOIN w ON t.a = w.id) SEARCH DEPTH FIRST BY id SET way CYCLE id SET again USING past SELECT * FROM w
WITH q AS MATERIALIZED (SELECT * FROM {t} WHERE {p}), z AS (SELECT 1 AS one) SELECT q.id, z.one FROM q, z
SELECT l.id, r.s FROM {t} l JOIN {t} r USING (id, a) WHERE l.s IN ('a', 'b')
SELECT id, j.a FROM {t} l FULL JOIN (SELECT id, a FROM {t} WHERE {p}) j USING (id)
SELECT * FROM (SELECT id, a FROM {t}) l NATURAL LEFT JOIN (SELECT id, s FROM {t} WHERE {p}) r
SELECT k, y FROM ({t} JOIN (SELECT id AS z FROM {t}) q ON id = z) AS w(k, y) WHERE y BETWEEN 1 AND 9 AND y <> 5
SELECT l.id, r.cnt FROM {t} l LEFT JOIN LATERAL (SELECT count(*) AS cnt FROM {t} i WHERE i.a = l.a AND i.s IN ('x', 'y')) r ON true
SELECT id, (SELECT max(a) FROM {t} i WHERE i.id = {t}.id) AS top FROM {t} WHERE {p}
SELECT id FROM {t} WHERE EXISTS (SELECT FROM {t} i WHERE i.a = {t}.a) AND a NOT IN (SELECT b FROM {t}) AND {p}
SELECT id FROM {t} WHERE (a, b) IN (SELECT a, b FROM {t}) OR a > ALL (SELECT id FROM {t})
SELECT ARRAY(SELECT id FROM {t} WHERE {p}) AS ids, ARRAY[1, 2.5] AS two, ARRAY[]::int[] AS none
SELECT v.k, v.w FROM (VALUES (1, 'a'), (2, NULL)) v(k, w) JOIN {t} ON v.k = id WHERE {p}
SELECT g, o.n FROM generate_series(1, 3) WITH ORDINALITY AS o(g, n)
SELECT * FROM ROWS FROM (generate_series(1, 3), unnest(ARRAY['a', 'b'])) AS z(p, q)
SELECT x.a, x.b FROM jsonb_to_recordset('[{{"a": 1}}]') AS x(a int, b text)
SELECT t.*, t AS whole FROM {t} t WHERE {p}
SELECT (t).a, ROW(t.a, t.s) AS pair FROM {t} t WHERE {p}
SELECT string_agg(DISTINCT s, ',' ORDER BY s) AS names, percentile_cont(0.5) WITHIN GROUP (ORDER BY a) AS half, array_agg(a ORDER BY b DESC) AS all_of FROM {t} WHERE {p}
SELECT id FROM {t} TABLESAMPLE BERNOULLI (10) REPEATABLE (1) WHERE {p}
SELECT id, CASE WHEN {p} THEN 'x' ELSE s END AS k, coalesce(s, 'none') AS z FROM {t}
SELECT current_date AS today, current_user AS me, now() AT TIME ZONE 'UTC' AS utc, interval '1 year 2 mons' AS span FROM {t} WHERE {p}
SELECT xmlelement(name foo, xmlattributes(a AS b), s) AS x, xmlforest(a, s) AS y FROM {t} WHERE {p}
TABLE {t}
SELECT s, any_value(a) FILTER (WHERE {p}) AS v, JSON_ARRAYAGG(a ORDER BY b NULL ON NULL RETURNING jsonb) AS w, JSON_OBJECTAGG(id: s ABSENT ON NULL) AS o FROM {t} GROUP BY DISTINCT ROLLUP (s, a), s
SELECT a FROM (SELECT a, o FROM {t} WHERE {p}) WHERE o
SELECT k.n, k.v, k.e, k.w FROM {t} l, JSON_TABLE(l.j, '$[*]' PASSING l.a AS p COLUMNS (n FOR ORDINALITY, v int PATH '$.k' DEFAULT 0 ON EMPTY NULL ON ERROR, e boolean EXISTS PATH '$.e', NESTED PATH '$.z[*]' AS z COLUMNS (w text FORMAT JSON PATH '$.w' WITH WRAPPER))) AS k WHERE l.s IN ('a', 'b')
SELECT k.* FROM {t}, XMLTABLE(XMLNAMESPACES('http://x' AS n), '/n:a' PASSING '<a/>' COLUMNS v int PATH 'b' DEFAULT 1 NOT NULL, o FOR ORDINALITY) k WHERE {p}
SELECT id, k.a FROM {t} JOIN {t} r USING (id, a) AS k WHERE r.s IN ('a', 'b')
SELECT id, count(*) OVER (ORDER BY a GROUPS BETWEEN 1 PRECEDING AND 2 FOLLOWING EXCLUDE CURRENT ROW) FROM {t} WHERE {p}
SELECT id FROM {t} WHERE a IN (VALUES (1), (2)) AND s = ANY (VALUES ('a'), ('b')) AND {p}
SELECT id FROM {t} WHERE {p} FOR NO KEY UPDATE OF {t} SKIP LOCKED
VALUES (1, 'a'), (2, NULL)
SELECT FROM {t} WHERE {p}
SELECT id FROM ONLY {t} WHERE {p}
""".strip().splitlines()


# Bodies of routines in the standard's form, over {t}; {c} is a condition.
BODIES = """
RETURN (SELECT count(*) FROM {t} WHERE {c})
BEGIN ATOMIC SELECT 1; SELECT count(*) FROM {t} WHERE {c}; END
BEGIN ATOMIC WITH gone AS (DELETE FROM {t} WHERE {c} RETURNING id, s) SELECT count(*) FROM gone WHERE s IN ('a', 'b'); END
BEGIN ATOMIC UPDATE {t} SET (a, s) = (b, 'x'), arr[1] = 2 WHERE {c}; SELECT 1::bigint; END
BEGIN ATOMIC INSERT INTO {t} (id, o) SELECT 1, {c} FROM {t}; SELECT 1::bigint; END
BEGIN ATOMIC MERGE INTO {t} USING (SELECT id AS k FROM {t} WHERE {c}) l ON {t}.id = l.k AND {t}.s IN ('a', 'b') WHEN MATCHED AND l.k BETWEEN 1 AND 9 THEN UPDATE SET a = l.k WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (id) VALUES (l.k); SELECT 1::bigint; END
BEGIN ATOMIC MERGE INTO {t} USING (SELECT id AS k FROM {t} WHERE {c}) l ON {t}.id = l.k WHEN NOT MATCHED BY SOURCE THEN DELETE WHEN MATCHED THEN DO NOTHING; SELECT 1::bigint; END
BEGIN ATOMIC WITH m AS (MERGE INTO {t} USING (SELECT id AS k FROM {t} WHERE {c}) l ON {t}.id = l.k WHEN MATCHED THEN DELETE RETURNING merge_action() AS done, l.k) SELECT count(*) FROM m WHERE done IN ('DELETE', 'UPDATE'); END
BEGIN ATOMIC UPDATE {t} SET a = 1 WHERE {c} RETURNING WITH (OLD AS was, NEW AS now) was.a::bigint + now.b; END
""".strip().splitlines()


# Over the types of extensions, whose operators are outside of pg_catalog; many of them are meant but not named.
EXTENSION_COLUMNS = "ci citext, h hstore, l ltree"
EXTENSION_CONDITIONS = """
ci IS DISTINCT FROM 'a'
ci IS NOT DISTINCT FROM x::citext
nullif(ci, 'A') IS NOT NULL
CASE ci WHEN 'a' THEN true WHEN 'b' THEN o END
CASE ci WHEN 'a' THEN {p} ELSE ci = 'b' END
ci IN ('a', 'B')
ci BETWEEN 'a' AND 'z'
ci NOT LIKE 'a%'
ci ~ '^[a-z]'
ci = ANY (ARRAY['a', 'b']::citext[])
(a, ci) = (1, 'z')
(a, ci) IN ((1, 'a'), (2, 'b'))
ROW(a, ci) < ROW(1, 'b'::citext)
ROW(a, ci) IS DISTINCT FROM ROW(1, 'a'::citext)
greatest(ci, 'b') > least(ci, x::citext)
coalesce(nullif(ci, 'x'), 'y') = 'z'
nullif(ci, 'a') IS DISTINCT FROM nullif(ci, 'b') AND {p}
h IS DISTINCT FROM 'a=>1'
h IS NOT DISTINCT FROM hstore('a', s) OR {p}
nullif(h, '') @> 'a=>1'
h ? 'a' AND h -> 'a' IN ('x', 'y')
h || 'b=>2' = 'a=>1, b=>2'
l <@ 'a.b'
l ~ 'a.*{{1,2}}.b'
l IS NOT DISTINCT FROM 'a.b'
CASE l WHEN 'a' THEN true WHEN 'a.b' THEN ci = 'x' END
nullif(l, 'a') BETWEEN 'a' AND 'b'
""".strip().splitlines()
EXTENSION_QUERIES = """
SELECT z.id, ci FROM (SELECT * FROM {t} WHERE {p}) z JOIN (SELECT ci, id AS other FROM {t}) y USING (ci)
SELECT count(*) FROM (SELECT ci, h, l FROM {t} WHERE {p}) z NATURAL LEFT JOIN (SELECT ci, h FROM {t}) y
SELECT id FROM {t} WHERE (id, ci) IN (SELECT id, ci FROM {t}) AND {p}
SELECT id FROM {t} WHERE (id, ci) < (SELECT a, ci FROM {t} LIMIT 1) AND {p}
SELECT ci, count(DISTINCT l) FROM {t} WHERE {p} GROUP BY ci HAVING nullif(ci, 'a') IS NOT NULL ORDER BY ci DESC
SELECT nullif(ci, 'x') AS n, CASE l WHEN 'a' THEN h END AS w, rank() OVER (PARTITION BY ci ORDER BY l) FROM {t} WHERE {p}
SELECT DISTINCT ci FROM {t} WHERE {p} UNION SELECT nullif(ci, 'b') FROM {t}
""".strip().splitlines()
