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
