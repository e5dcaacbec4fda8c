-- What PostgreSQL 18 brought; rows break what is not enforced or not valid.
CREATE SCHEMA eighteen;
CREATE TABLE eighteen.computed (
    id int PRIMARY KEY,
    a int CHECK (a > 0) NOT ENFORCED,
    twice int GENERATED ALWAYS AS (a * 2) VIRTUAL,
    next int GENERATED ALWAYS AS (a + 1) STORED
);
INSERT INTO eighteen.computed (id, a) SELECT n, n - 2 FROM generate_series(1, 100) n;
CREATE TABLE eighteen.pointing (computed int REFERENCES eighteen.computed NOT ENFORCED);
INSERT INTO eighteen.pointing VALUES (5000);
CREATE TABLE eighteen.stays (
    room int4range, during daterange, n int CONSTRAINT counted NOT NULL NO INHERIT,
    PRIMARY KEY (room, during WITHOUT OVERLAPS)
);
INSERT INTO eighteen.stays VALUES ('[1,2)', '[2020-01-01,2021-01-01)', 1);
CREATE TABLE eighteen.meals (
    room int4range, during daterange,
    FOREIGN KEY (room, PERIOD during) REFERENCES eighteen.stays (room, PERIOD during)
);
INSERT INTO eighteen.meals VALUES ('[1,2)', '[2020-02-01,2020-03-01)');
CREATE TABLE eighteen.gaps (a int);
INSERT INTO eighteen.gaps VALUES (NULL);
ALTER TABLE eighteen.gaps ADD CONSTRAINT no_gaps NOT NULL a NOT VALID;
CREATE TABLE eighteen.parts (a int, b text) PARTITION BY RANGE (a);
CREATE TABLE eighteen.parts_1 PARTITION OF eighteen.parts FOR VALUES FROM (0) TO (10);
INSERT INTO eighteen.parts VALUES (1, 'x');
ALTER TABLE eighteen.parts ADD FOREIGN KEY (a) REFERENCES eighteen.computed NOT VALID;
CREATE COLLATION eighteen.folding (provider = builtin, locale = 'PG_UNICODE_FAST');
CREATE TABLE eighteen.words (id uuid PRIMARY KEY DEFAULT uuidv7(), word text COLLATE eighteen.folding);
CREATE INDEX ON eighteen.words (casefold(word));
INSERT INTO eighteen.words (word) VALUES ('Straße');
-- Names of NOT NULL: chosen by the server, one of them twice in a schema, too long, given, inherited, renamed.
CREATE TABLE eighteen.zeta (id int NOT NULL, a int NOT NULL) PARTITION BY RANGE (id);
CREATE TABLE eighteen.alpha PARTITION OF eighteen.zeta FOR VALUES FROM (0) TO (10);
CREATE TABLE eighteen.beta (id int NOT NULL, a int CONSTRAINT given NOT NULL);
ALTER TABLE eighteen.zeta ATTACH PARTITION eighteen.beta FOR VALUES FROM (10) TO (20);
CREATE TABLE eighteen.ancestor (x int NOT NULL, note text NOT NULL);
CREATE TABLE eighteen.heir (b int NOT NULL, a int CONSTRAINT mine NOT NULL) INHERITS (eighteen.ancestor);
CREATE TABLE eighteen.later (x int CONSTRAINT own NOT NULL, note text NOT NULL);
ALTER TABLE eighteen.later INHERIT eighteen.ancestor;
CREATE TABLE eighteen.before (a int NOT NULL, b int CONSTRAINT named NOT NULL NO INHERIT, c int);
ALTER TABLE eighteen.before RENAME TO after;
ALTER TABLE eighteen.after RENAME a TO z;
ALTER TABLE eighteen.after ADD CONSTRAINT checked_later NOT NULL c NOT VALID;
COMMENT ON CONSTRAINT named ON eighteen.after IS 'of a NOT NULL';
CREATE TABLE eighteen.a_name_of_a_table_that_is_very_long_indeed_so_that (a_column_of_a_long_name_too int NOT NULL);
CREATE DOMAIN eighteen.filled AS int CONSTRAINT really NOT NULL;
CREATE DOMAIN eighteen.filled_too AS int NOT NULL;
