"""What random schemas of MySQL and MariaDB are mixed of: conditions, queries, types, clauses of tables, bodies.

`{n}` stands for a number, `{t}` for a table, `{db}` for the database, `{c}` for a collation or a condition.
"""

# ruff: noqa: E501, ISC004 (one a line)
COLUMNS = """
    id INT PRIMARY KEY, a INT, b BIGINT UNSIGNED, s VARCHAR(20), x TEXT, c CHAR(5), d DATE, ts DATETIME(3), n DECIMAL(10,2),
    f DOUBLE, e ENUM('sad','ok','it''s'), z SET('p','q'), j JSON, bits BIT(4), y YEAR, `odd ``name` INT, g POINT, t TIME(2),
    bin VARBINARY(9), u VARCHAR(9) CHARACTER SET latin1 COLLATE latin1_german2_ci
"""
MODES = (
    "", "", "ANSI_QUOTES", "NO_BACKSLASH_ESCAPES", "PIPES_AS_CONCAT,ANSI_QUOTES", "STRICT_ALL_TABLES",
    "HIGH_NOT_PRECEDENCE", "IGNORE_SPACE,NO_UNSIGNED_SUBTRACTION", "REAL_AS_FLOAT",
)  # fmt: skip
CHARSETS = (
    "utf8mb4", "utf8mb4", "latin1", "utf8mb3", "ucs2", "utf16", "utf32", "sjis", "gbk", "big5", "cp1251", "binary",
    "ascii", "koi8r", "euckr", "tis620",
)  # fmt: skip

# Each is true or false of a row; {p} and {q} are others.
CONDITIONS = r"""
s IN ('open', 'closed')
s NOT IN ('a', NULL)
a IN (1, 2.5, '3')
b IN (1, 18446744073709551615)
a BETWEEN 1 AND 9 AND a <> 5
s NOT BETWEEN 'a' AND 'z'
x LIKE 'a%'
x LIKE 'a|%' ESCAPE '|'
s NOT LIKE '%x\\_%'
s REGEXP '^[a-z]+$'
coalesce(s, 'x') = 'y'
ifnull(nullif(a, 0), b) > 3
greatest(a, b, 7) > least(a, 3)
if(a > 1, s, x) = 'q'
CASE WHEN a > 1 THEN s = 'a' ELSE x IS NULL END
CASE s WHEN 'a' THEN 1 WHEN 'b' THEN 0 END
a IS NULL
a <=> b
a IS NOT TRUE
NOT a
a XOR b
a && b
(a, s) = (1, 'z')
(a, s) IN ((1, 'a'), (2, 'b'))
a + 1 > b * 2
-a < - 5
a - -1 > 0
a DIV 2 = 0
a MOD 3 = 1
a % 2 = 0
a & 3 | 4 = 1
a << 2 > 8
~b > 3
a / 2.0 > n
n > 1.50
n = '1.5'
f > 1e10
f < 0.1e-3
s COLLATE {c} > 'a'
binary s = 'a'
s = _latin1 'a'
x = _utf8mb4 0x41C384
bin = 0x00ff
bin = x'41'
bits = b'1010'
s = 'a''b"c\\d'
s = "it's"
x = 'ä€😀'
concat(s, 'x', a) <> s
concat_ws(', ', s, x) = 'a'
char_length(s) > 3
substring(x, 2, 3) = 'a'
substring(x from 2 for 3) = 'a'
trim(both ' ' from x) <> ''
trim(leading 'x' from x) <> ''
position('a' in x) > 0
locate('a', x, 2) > 0
replace(x, 'a', 'b') = x
lower(s) = upper(x)
lpad(s, 5, '0') = 'a'
hex(bin) = 'AF'
convert(s using latin1) = 'a'
cast(s AS unsigned) = 1
cast(a AS char(3)) = 'a'
cast(a AS decimal(8,3)) > 1
cast(s AS binary(3)) = 'a'
convert(s, date) = d
d > '2020-01-01'
d > DATE '2020-01-01'
ts = TIMESTAMP '2020-01-01 10:00:00.123'
t < TIME '10:11:12'
ts + INTERVAL 1 DAY > d
ts - INTERVAL '1:2' MINUTE_SECOND > d
date_add(d, INTERVAL a MONTH) > ts
adddate(d, 3) = ts
timestampdiff(DAY, d, ts) > 1
extract(YEAR_MONTH FROM d) > 2000
date_format(ts, '%Y-%m') = '2020-01'
year(d) = y
dayofweek(d) IN (1, 7)
e = 'it''s'
e > 1
z = 'p,q'
find_in_set('p', z)
json_extract(j, '$.a') = 1
json_contains(j, '1', '$.b')
json_unquote(json_extract(j, '$."k y"')) = 'x'
json_length(j) > 1
`odd ``name` > 1
st_x(g) > 1.5
st_distance(g, st_geomfromtext('POINT(1 2)')) < 3
u = 'ß'
s SOUNDS LIKE 'x'
s || x = 'ab'
md5(s) = 'a'
crc32(s) > 5
interval(a, 1, 5, 9) = 2
field(s, 'a', 'b') > 1
elt(a, 's', 'x') = 'x'
format(n, 2) = '1.50'
round(n, 1) = 1.5
truncate(n, -1) = 10
pow(a, 2) > 4
sign(a) = -1
isnull(a)
strcmp(s, x) = 1
s REGEXP binary 'a'
regexp_replace(s, '[a-z]', 'x') = 'x'
inet_aton(s) > 1
{p} AND {q}
{p} OR {q}
{p} OR {q} AND a > 1
({p} OR {q}) AND a > 1
NOT ({p})
NOT ({p} AND {q})
({p}) IS NOT FALSE
({p}) = ({q})
if({p}, {q}, 0)
CASE WHEN {p} THEN {q} ELSE 1 END
""".strip().splitlines()

# Queries over {t}; {p} is a condition.
QUERIES = r"""
SELECT * FROM {t} WHERE {p}
SELECT id, a AS `odd "name`, s FROM {t} WHERE {p}
SELECT id, 'it''s' AS `q`, NULL AS n, 1.50 AS dec2, 0x41 AS h, b'1' AS bb FROM {t} WHERE {p}
SELECT id FROM {t} WHERE {p} UNION SELECT 1
SELECT id, s FROM {t} WHERE {p} UNION ALL SELECT 1, 'x' ORDER BY 1 LIMIT 3
(SELECT id FROM {t} WHERE {p} ORDER BY id DESC LIMIT 2) UNION (SELECT 7)
SELECT id FROM {t} WHERE {p} EXCEPT SELECT 2
SELECT id FROM {t} INTERSECT SELECT a FROM {t} WHERE {p}
SELECT DISTINCT s, x FROM {t} WHERE {p} ORDER BY s DESC LIMIT 1, 5
SELECT s, count(*) AS k, sum(DISTINCT a) AS sm, group_concat(x ORDER BY id DESC SEPARATOR '; ') AS gc FROM {t} WHERE {p} GROUP BY s HAVING count(*) > 1
SELECT a, b, count(*) AS k FROM {t} WHERE {p} GROUP BY a, b WITH ROLLUP
SELECT id, rank() OVER w AS r, sum(a) OVER (PARTITION BY s ORDER BY b ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS m FROM {t} WHERE {p} WINDOW w AS (PARTITION BY s ORDER BY a)
WITH RECURSIVE w (k, v) AS (SELECT 1, 'a' UNION ALL SELECT k + 1, v FROM w WHERE k < 5) SELECT w.k, w.v FROM w JOIN {t} ON w.k = {t}.id WHERE {p}
WITH q AS (SELECT id, a FROM {t} WHERE {p}), z AS (SELECT 1 AS uno) SELECT q.id, z.uno FROM q, z
SELECT l.id, r.s FROM {t} l JOIN {t} r USING (id, a) WHERE l.s IN ('a', 'b')
SELECT l.id, r.x FROM {t} l LEFT JOIN {t} r ON l.id = r.a AND r.s = 'x' WHERE l.a > 1
SELECT l.id, r.x FROM {t} l RIGHT JOIN ({t} r CROSS JOIN {t} m) ON l.id = r.a AND m.id = r.id
SELECT l.id FROM {t} l STRAIGHT_JOIN {t} r NATURAL JOIN {t} m WHERE l.a > 1
SELECT k.id, k.top FROM (SELECT id, (SELECT max(a) FROM {t} i WHERE i.id = o.id) AS top FROM {t} o) k WHERE k.id > 1
SELECT id FROM {t} o WHERE EXISTS (SELECT 1 FROM {t} i WHERE i.a = o.a) AND a NOT IN (SELECT b FROM {t})
SELECT id FROM {t} WHERE (a, b) IN (SELECT a, b FROM {t}) OR a > ALL (SELECT id FROM {t}) OR a = ANY (SELECT id FROM {t})
SELECT id FROM {t} IGNORE INDEX (PRIMARY) WHERE {p} FOR UPDATE
SELECT SQL_NO_CACHE HIGH_PRIORITY id, @@sql_mode AS m FROM {t} WHERE {p}
SELECT id, CASE WHEN {p} THEN 'x' ELSE s END AS k, coalesce(s, 'none') AS z2 FROM {t}
SELECT current_user() AS me, now(3) AS w, curdate() AS today, utc_timestamp() AS utc FROM {t} WHERE {p}
SELECT {db}.{t}.id, {t}.`s` FROM {db}.{t} WHERE {t}.a > 1
SELECT plus(a) AS v FROM {t} WHERE {p}
SELECT {db}.plus(a) AS v, p.* FROM {db}.{t} p WHERE p.a > 1
SELECT jt.k, jt.v FROM {t}, json_table(j, '$[*]' COLUMNS (k FOR ORDINALITY, v VARCHAR(9) PATH '$.v' DEFAULT '"x"' ON EMPTY)) jt WHERE {p}
SELECT match_score.id FROM (SELECT id, weight_string(s) AS ws FROM {t}) match_score
VALUES (1, 'a'), (2, 'b')
""".strip().splitlines()

# A type and the default that one of its values can be, None for none; {n} is a number.
TYPES: tuple[tuple[str, str | None], ...] = (
    ("TINYINT", "-{n}"), ("SMALLINT UNSIGNED ZEROFILL", "{n}"), ("MEDIUMINT(5)", None), ("INT UNSIGNED", "{n}"),
    ("BIGINT", "'{n}'"), ("DECIMAL(20,5) UNSIGNED", "{n}.5"), ("FLOAT", "{n}.5"), ("FLOAT(7,3)", "1e1"), ("DOUBLE(10,2)", "{n}"),
    ("BIT({n})", "b'1'"), ("BOOLEAN", "TRUE"), ("YEAR", "2001"), ("DATE", "'2020-01-02'"), ("TIME(3)", "'10:11:12'"),
    ("DATETIME", "'2020-01-01'"), ("DATETIME(6)", "CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)"),
    ("TIMESTAMP NULL", "NULL"), ("TIMESTAMP", "CURRENT_TIMESTAMP"), ("TIMESTAMP(2) NULL", "CURRENT_TIMESTAMP(2)"),
    ("CHAR({n})", "'x'"), ("VARCHAR(1{n})", "'it''s'"), ("VARCHAR(30)", "'a\"b'"), ("VARCHAR(30)", "(concat('a', {n}))"),
    ("TINYTEXT", None), ("TEXT", "('long')"), ("MEDIUMTEXT", None), ("LONGTEXT", None),
    ("BINARY({n})", "'a'"), ("VARBINARY({n})", "0x4100"), ("TINYBLOB", None), ("BLOB", "(0x41)"), ("LONGBLOB", None),
    ("ENUM('a','b{n}','ü')", "'a'"), ("SET('a','b{n}','c,d')", "'a'"), ("SET('x','y''z')", "'x'"), ("JSON", None),
    ("JSON", "(json_object('k', {n}))"), ("POINT", None), ("GEOMETRY", None), ("POLYGON", None), ("UUID", None),
    ("INET6", "'::1'"), ("INET4", "'127.0.0.1'"), ("VECTOR({n})", None), ("POINT SRID 4326", None), ("SERIAL", None),
    ("NATIONAL VARCHAR({n})", "N'x'"), ("INT", "({n} + 1)"), ("INT", "(floor(rand() * {n}))"), ("DATE", "(curdate())"),
    ("VARCHAR(9)", "(uuid())"), ("VARCHAR(36)", "(uuid())"),
)  # fmt: skip
TEXTS = ("CHAR", "VARCHAR", "TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT", "ENUM", "SET")
GENERATED = (
    "INT AS (k + {n}) STORED", "INT GENERATED ALWAYS AS (k * {n}) VIRTUAL", "VARCHAR(50) AS (concat(w, '{n}', k)) VIRTUAL",
    "VARCHAR(50) AS (upper(w)) STORED", "BIGINT AS (if(k > {n}, 1, NULL)) VIRTUAL", "VARCHAR(9) AS (left(w, 3)) VIRTUAL",
    "DOUBLE AS (k / {n}) STORED", "DATE AS (d0 + INTERVAL {n} DAY) STORED", "VARCHAR(20) AS (date_format(d0, '%Y')) STORED",
    "CHAR(32) CHARACTER SET ascii AS (md5(w)) STORED", "INT AS (year(d0)) VIRTUAL", "VARCHAR(9) AS (json_value(j0, '$.a')) VIRTUAL",
    "VARCHAR(60) AS (w COLLATE {c}) VIRTUAL", "INT AS (char_length(w)) VIRTUAL INVISIBLE",
)  # fmt: skip
KEYS = (
    "KEY `k {n}` (k)", "KEY (k, w(5))", "UNIQUE KEY u{n} (id, k)", "KEY (k DESC, id)", "KEY ((k + {n}))", "KEY ((lower(w)), k)",
    "FULLTEXT KEY ft (w)", "INDEX USING BTREE (w(3))", "INDEX USING HASH (k)", "KEY kb (k) COMMENT 'it''s {n}'",
    "KEY hid (k) INVISIBLE", "KEY ign (k) IGNORED", "KEY blk (k) KEY_BLOCK_SIZE=1024", "UNIQUE (w)", "UNIQUE KEY (w(200), id)",
    "KEY ((cast(j0->'$.a' AS UNSIGNED ARRAY)))", "CONSTRAINT chk{n} CHECK (k > -{n})", "CHECK (w <> 'x{n}' OR k IS NULL)",
    "CONSTRAINT `c k` CHECK (k <> {n}) NOT ENFORCED", "CONSTRAINT fk{n} FOREIGN KEY (k) REFERENCES t0 (id) ON DELETE SET NULL",
    "FOREIGN KEY (k) REFERENCES {db}.t1 (id) ON UPDATE CASCADE ON DELETE RESTRICT", "PERIOD FOR p (pa, pb)",
)  # fmt: skip
ENGINES = ("InnoDB",) * 6 + (
    "MyISAM",
    "MyISAM",
    "Aria",
    "MEMORY",
    "ARCHIVE",
    "CSV",
    "BLACKHOLE",
    "Aria TRANSACTIONAL=0",
)
OPTIONS = (
    "COMMENT='it''s {n}'", "AUTO_INCREMENT={n}", "ROW_FORMAT=DYNAMIC", "ROW_FORMAT=COMPACT", "ROW_FORMAT=REDUNDANT",
    "ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=8", "ROW_FORMAT=FIXED", "CHECKSUM=1", "STATS_PERSISTENT=1", "STATS_AUTO_RECALC=0",
    "STATS_SAMPLE_PAGES={n}", "MIN_ROWS={n}", "MAX_ROWS={n}00", "AVG_ROW_LENGTH={n}", "PACK_KEYS=1", "DELAY_KEY_WRITE=1",
    "PAGE_COMPRESSED=1", "WITH SYSTEM VERSIONING", "PAGE_CHECKSUM=1", "COMPRESSION='zlib'", "TABLESPACE=innodb_file_per_table",
)  # fmt: skip
PARTITIONS = (
    "PARTITION BY HASH (id) PARTITIONS {n}", "PARTITION BY LINEAR KEY (id) PARTITIONS 3", "PARTITION BY KEY ALGORITHM=2 (id)",
    "PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN ({n}), PARTITION `p 1` VALUES LESS THAN MAXVALUE COMMENT='it''s')",
    "PARTITION BY LIST (id) (PARTITION a VALUES IN (1, 2, 3, 4, 5), PARTITION b VALUES IN ({n}7, NULL))",
    "PARTITION BY RANGE COLUMNS (id) (PARTITION a VALUES LESS THAN ({n}0), PARTITION b VALUES LESS THAN (MAXVALUE))",
    "PARTITION BY LIST COLUMNS (id) (PARTITION a VALUES IN (1, 2, 3), PARTITION d DEFAULT)",
    "PARTITION BY RANGE (id) SUBPARTITION BY HASH (id) SUBPARTITIONS {n} (PARTITION a VALUES LESS THAN (50), PARTITION b VALUES LESS THAN MAXVALUE)",
    "PARTITION BY RANGE (id) (PARTITION a VALUES LESS THAN (50) MAX_ROWS={n}, PARTITION b VALUES LESS THAN (99) MIN_ROWS=1)",
)  # fmt: skip

BODIES = (
    "SET @x = (SELECT count(*) FROM {t} WHERE {c})",
    "BEGIN DECLARE n INT DEFAULT {n}; /* it's */ SELECT a INTO n FROM {t} WHERE {c} LIMIT 1; IF n > {n} THEN SET @y = 'x'; "
    'ELSEIF n < 0 THEN SET @y = NULL; ELSE SET @y = "q"; END IF; END',
    "BEGIN DECLARE done INT DEFAULT 0; DECLARE v INT; DECLARE cu CURSOR FOR SELECT id FROM {db}.{t} WHERE {c}; DECLARE CONTINUE "
    "HANDLER FOR NOT FOUND SET done = {n}; OPEN cu; l: LOOP FETCH cu INTO v; IF done THEN LEAVE l; END IF; END LOOP; CLOSE cu; END",
    "BEGIN -- a comment with 'a quote\nUPDATE {t} SET a = a + {n} WHERE {c}; DELETE FROM {db}.{t} WHERE id = -{n} AND ({c}); END",
    "BEGIN # another ` one\nINSERT INTO {t} (id, s) SELECT id + {n}, 'x' FROM {t} WHERE {c} ON DUPLICATE KEY UPDATE s = 'y'; END",
    "BEGIN DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN END; REPLACE INTO {t} (id, a) VALUES (-{n}, 1); CALL {db}.proc0({n}); END",
    "BEGIN DECLARE i INT DEFAULT 0; WHILE i < {n} DO SET i = i + 1; END WHILE; REPEAT SET i = i - 1; UNTIL i = 0 END REPEAT; "
    "CASE i WHEN 1 THEN SET @a = 1; ELSE SET @a = plus(i); END CASE; END",
    "BEGIN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no {n}'; END",
)
