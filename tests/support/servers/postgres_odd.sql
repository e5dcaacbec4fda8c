-- One of every kind of object that pg_dump knows, with names and rows that need care.
CREATE EXTENSION hstore;
CREATE EXTENSION citext SCHEMA public;
CREATE SCHEMA "odd schema.with ""quotes""";
CREATE SCHEMA app AUTHORIZATION "odd ""owner"" ü";
COMMENT ON SCHEMA app IS 'a comment with ''quotes'' and a
line break';
CREATE TYPE app.mood AS ENUM ('sad', 'o''k', 'ha ppy', 'ü');
CREATE TYPE app.pair AS (a int, b text);
CREATE DOMAIN app.positive AS int CHECK (VALUE > 0);
CREATE DOMAIN app.blob AS bytea;
CREATE TYPE app.span AS RANGE (subtype = numeric);
CREATE COLLATION app.byte (provider = libc, locale = 'C');
CREATE SEQUENCE app.counter INCREMENT 7 MINVALUE -100 START -50 CYCLE;
SELECT nextval('app.counter'), nextval('app.counter');
CREATE SEQUENCE app.untouched START 42;
CREATE SEQUENCE "odd schema.with ""quotes"""."seq'with ""all"" \ ü";
SELECT setval('"odd schema.with ""quotes"""."seq''with ""all"" \ ü"', 99, true);

CREATE TABLE app.kinds (
    id bigint GENERATED ALWAYS AS IDENTITY (START 10) PRIMARY KEY,
    serial serial,
    mood app.mood,
    pair app.pair,
    pairs app.pair[],
    amount numeric,
    positive app.positive,
    span app.span,
    real real,
    double double precision,
    raw bytea,
    doc json,
    docb jsonb,
    at timestamptz,
    day date,
    during interval,
    words text[],
    vector tsvector,
    address inet,
    uuid uuid,
    bits bit varying(17),
    xml xml,
    store hstore,
    insensitive citext,
    text text COLLATE app.byte,
    doubled numeric GENERATED ALWAYS AS (amount * 2) STORED
);
ALTER TABLE app.kinds OWNER TO "odd ""owner"" ü";
INSERT INTO app.kinds (mood, pair, pairs, amount, positive, span, real, double, raw, doc, docb, at, day, during, words,
    vector, address, uuid, bits, xml, store, insensitive, text)
VALUES
    ('o''k', (1, 'a,"b'), ARRAY[(1, NULL)::app.pair], 1.00, 7, '[1.5,2)', 0.1, 'NaN', '\x00ff5c', '{"a": 1.00}',
        '{"a": 1.00}', '2024-02-29 12:00:00.123456+05:45', 'infinity', '1 mon -3 days 04:05:06.789',
        ARRAY['a', NULL, 'NULL', E'\t'], 'a b:3', '::1/64', '00000000-0000-0000-0000-000000000001', B'101',
        '<a>ü</a>', 'a=>1, b=>NULL', 'ABC', E'line\nbreak\\. tab\t\r and \\N'),
    (NULL, NULL, NULL, 'NaN', NULL, 'empty', '-Infinity', 1e-300, '', '[]', 'null', '-infinity', '0044-03-15 BC',
        '-178000000 years', '{}', '', '10.0.0.0/8', NULL, B'', NULL, '', '', ''),
    ('ü', NULL, '{}', 0.10, 2147483647, NULL, 3.4028235e38, 0.1, '\x5c2e0a', NULL, NULL, 'epoch', NULL, NULL, NULL, NULL,
        NULL, NULL, NULL, NULL, NULL, NULL, E'\\.');

CREATE TABLE "odd schema.with ""quotes"""."table
with 'line break' } ` ü --x" ("col "" umn" int, "select" text, "ü}" bytea);
INSERT INTO "odd schema.with ""quotes"""."table
with 'line break' } ` ü --x" VALUES (1, E'\\restrict abc', '\x00'), (2, E'\restrict abc', '\xffff'), (3, NULL, NULL);
CREATE TABLE public."-- name" (a int);
INSERT INTO public."-- name" SELECT generate_series(1, 3000);
DELETE FROM public."-- name" WHERE a % 3 = 0;
CREATE TABLE public.no_columns ();
INSERT INTO public.no_columns DEFAULT VALUES;
INSERT INTO public.no_columns DEFAULT VALUES;
CREATE TABLE public.only_generated (a int GENERATED ALWAYS AS (1) STORED);
INSERT INTO public.only_generated DEFAULT VALUES;
CREATE TABLE public.dropped_column (a int, b text, c int DEFAULT 5);
INSERT INTO public.dropped_column VALUES (1, 'x', 2);
ALTER TABLE public.dropped_column DROP COLUMN b;
ALTER TABLE public.dropped_column ADD COLUMN d text DEFAULT 'added';
CREATE TABLE public.files (id int PRIMARY KEY, name text, content app.blob);
INSERT INTO public.files SELECT n, 'file ' || n, decode(md5(n::text), 'hex') FROM generate_series(1, 2000) n;

CREATE TABLE app.event (id int, at date, note text) PARTITION BY RANGE (at);
CREATE TABLE app.event_2023 PARTITION OF app.event FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
CREATE TABLE app.event_2024 PARTITION OF app.event FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')
    PARTITION BY HASH (id);
CREATE TABLE app.event_2024_0 PARTITION OF app.event_2024 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE app.event_2024_1 PARTITION OF app.event_2024 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE app.event_rest PARTITION OF app.event DEFAULT;
INSERT INTO app.event SELECT n, date '2023-01-01' + n, 'note ' || n FROM generate_series(1, 1500) n;
CREATE INDEX ON app.event (at);
CREATE UNIQUE INDEX event_unique ON app.event (at, id);

CREATE TABLE app.parent (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE app.child (extra text) INHERITS (app.parent);
INSERT INTO app.parent VALUES (1, 'parent');
INSERT INTO app.child VALUES (2, 'child', 'more');
CREATE TABLE app.node (id int PRIMARY KEY, up int REFERENCES app.node DEFERRABLE, path text);
INSERT INTO app.node SELECT n, nullif(n / 2, 0), 'p' || n FROM generate_series(1, 500) n;
CREATE TABLE app.reservation (room int, during tstzrange, EXCLUDE USING gist (during WITH &&));
INSERT INTO app.reservation VALUES (1, '[2024-01-01, 2024-01-02)');
CREATE UNLOGGED TABLE app.cache (k text PRIMARY KEY, v text);
INSERT INTO app.cache VALUES ('a', 'b');
CREATE INDEX expression ON app.node (lower(path)) WHERE up IS NOT NULL;
CREATE STATISTICS app.node_stats (dependencies) ON id, up FROM app.node;
ALTER TABLE app.node CLUSTER ON node_pkey;
ALTER TABLE app.node ALTER COLUMN path SET STATISTICS 500, ALTER COLUMN path SET STORAGE EXTERNAL;
ALTER TABLE app.parent REPLICA IDENTITY FULL;

CREATE VIEW app.names AS SELECT id, name FROM app.parent WITH CHECK OPTION;
CREATE MATERIALIZED VIEW app.totals AS SELECT count(*) AS n FROM app.node;
CREATE MATERIALIZED VIEW app.totals_of_totals AS SELECT n + 1 AS n FROM app.totals;
CREATE MATERIALIZED VIEW app.unfilled AS SELECT 1 AS one WITH NO DATA;
CREATE UNIQUE INDEX ON app.totals (n);
CREATE VIEW app.numbers AS WITH RECURSIVE r(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT n FROM r;

CREATE FUNCTION app.twice(a int) RETURNS int LANGUAGE sql IMMUTABLE RETURN a * 2;
CREATE FUNCTION app.shout(a text, VARIADIC rest text[]) RETURNS text LANGUAGE plpgsql AS $body$
BEGIN
    /*
\restrict is no command in here
    */
    RETURN upper(a) || '!';
END $body$;
ALTER FUNCTION app.twice(int) OWNER TO "odd ""owner"" ü";
CREATE PROCEDURE app.nothing() LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE app.product(int) (SFUNC = int4mul, STYPE = int, INITCOND = '1');
CREATE OPERATOR app.<+> (LEFTARG = int, RIGHTARG = int, FUNCTION = int4pl);
CREATE FUNCTION app.mood_number(app.mood) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT length($1::text)';
CREATE CAST (app.mood AS int) WITH FUNCTION app.mood_number(app.mood);
CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.path := NEW.path || '+'; RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON app.node FOR EACH ROW EXECUTE FUNCTION app.touch();
CREATE TRIGGER silent BEFORE INSERT ON app.parent FOR EACH ROW EXECUTE FUNCTION app.touch();
ALTER TABLE app.parent DISABLE TRIGGER silent;
CREATE RULE nothing AS ON DELETE TO app.parent DO INSTEAD NOTHING;
CREATE POLICY mine ON app.reservation FOR SELECT TO odd_reader USING (room = 1);
ALTER TABLE app.reservation ENABLE ROW LEVEL SECURITY;

CREATE FUNCTION app.watch() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
CREATE EVENT TRIGGER odd_watch ON ddl_command_end EXECUTE FUNCTION app.watch();
CREATE PUBLICATION odd_publication FOR TABLE app.node, TABLES IN SCHEMA public;
CREATE FOREIGN DATA WRAPPER odd_wrapper;
CREATE SERVER odd_server FOREIGN DATA WRAPPER odd_wrapper OPTIONS (host 'nowhere');
CREATE FOREIGN TABLE app.far (a int) SERVER odd_server;
CREATE USER MAPPING FOR odd_reader SERVER odd_server OPTIONS (user 'x');
CREATE TEXT SEARCH DICTIONARY app.odd_dictionary (TEMPLATE = simple);
CREATE TEXT SEARCH CONFIGURATION app.odd_search (COPY = pg_catalog.simple);

SELECT lo_from_bytea(4711, '\x00010203'), lo_from_bytea(4712, repeat('large', 5000)::bytea);
COMMENT ON LARGE OBJECT 4711 IS 'large';
GRANT SELECT ON LARGE OBJECT 4711 TO odd_reader;
GRANT USAGE ON SCHEMA app TO odd_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA app TO odd_reader WITH GRANT OPTION;
GRANT UPDATE (name) ON app.parent TO odd_writer;
GRANT EXECUTE ON FUNCTION app.twice(int) TO odd_writer;
REVOKE ALL ON FUNCTION app.shout(text, text[]) FROM PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO odd_reader;
COMMENT ON TABLE app.node IS E'tab\t, quote '' and line\nbreak';
COMMENT ON COLUMN app.node.path IS 'column';
COMMENT ON INDEX app.expression IS 'index';
COMMENT ON CONSTRAINT node_pkey ON app.node IS 'constraint';
COMMENT ON FUNCTION app.twice(int) IS 'function';
REFRESH MATERIALIZED VIEW app.totals;
