-- What a dump stumbles over, for MySQL 9: types at their ends, names, every kind of object.
SET NAMES utf8mb4;
SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', time_zone = '+00:00';
ALTER DATABASE CHARACTER SET latin1 COLLATE latin1_german1_ci;
CREATE TABLE numbers (
  id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, tiny TINYINT UNSIGNED ZEROFILL, exact DECIMAL(65,30), single FLOAT,
  twice DOUBLE, bits BIT(64), few BIT(7) DEFAULT b'1010101', born YEAR
) COMMENT = 'ünï ''q'' \\';
INSERT INTO numbers VALUES
  (0, 0, -99999999999999999999999999999999999.999999999999999999999999999999, -3.402823466e38, -1.7976931348623157e308, 0, b'0', 0),
  (1, 255, 0.000000000000000000000000000001, 1.17549435e-38, 5e-324, 0xffffffffffffffff, b'1111111', 2155),
  (2, NULL, NULL, 3.14159265, 0.1, 0x0a0d095c27222600, 0x1e, 1901), (3, 7, 0, 16777217, 1e22, 0x101e4e0000000000, DEFAULT, 70);
CREATE TABLE times (id INT PRIMARY KEY, d DATE, dt DATETIME(6), ts TIMESTAMP(6) NULL, t TIME(6));
INSERT INTO times VALUES (1, '0000-00-00', '0000-00-00', '1970-01-01 00:00:01', '-838:59:59'),
  (2, '2024-02-31', '9999-12-31 23:59:59.999999', '2038-01-19 03:14:07.999999', '-00:00:00.000001'), (3, '2023-00-15', NULL, NULL, NULL);
CREATE TABLE texts (
  id INT PRIMARY KEY, e ENUM('a', 'b,c', 'it''s', '\\', 'ü', '3', '1') CHARACTER SET utf8mb4, empty_e ENUM('x', '', '2'),
  s SET('x', 'y z', 'o''k', '1'), c CHAR(10) CHARACTER SET utf8mb4, fixed BINARY(8), raw VARBINARY(300), western VARCHAR(300),
  four TEXT CHARACTER SET utf8mb4, wide VARCHAR(200) CHARACTER SET utf16, wider VARCHAR(60) CHARACTER SET utf32,
  japanese VARCHAR(100) CHARACTER SET sjis, chinese VARCHAR(50) CHARACTER SET gb18030, sorted LONGTEXT COLLATE utf8mb4_0900_as_cs, j JSON
);
SET @all = unhex('000102030405060708090a0b0c0d0e0f10111213141e1f5c27228081ff');
INSERT INTO texts VALUES
  (1, 'it''s', '', 'x,o''k', 'tr  ', 'a\0b', @all, convert(@all USING latin1), '😀 tab\t nl\n cr\r nul\0 bs\\ q'' dq" bt` %_ \Z end',
   '😀𝒳 \n\t\\\'', '😀', '日本語ソ表', '中😀', 'x', '{"k": "v\\n\\"😀", "n": 1.0, "big": 12345678901234567890}'),
  (2, '3', '2', '', '', '', '', '', '', '', '', '', '', '', '""'),
  (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (4, '\\', 'x', '1', 'N', '\\N', '\\N', '\\N', 'NULL', '\\N', 'NULL', NULL, NULL, 'N', '[]');
INSERT IGNORE INTO texts(id, e, empty_e) VALUES (5, 'never', 'never');
CREATE TABLE counted_json (id INT AUTO_INCREMENT PRIMARY KEY, j JSON, e ENUM('', 'a'));
INSERT INTO counted_json VALUES (0, '{"a": 1}', ''), (5, NULL, 'a');
CREATE TABLE shapes (id INT AUTO_INCREMENT PRIMARY KEY, g GEOMETRY NOT NULL SRID 4326, p POINT, SPATIAL INDEX (g));
INSERT INTO shapes(g, p) VALUES (st_geomfromtext('POINT(1.1 -2.5e-10)', 4326), point(1, 2)), (st_geomfromtext('POINT(5 6)', 4326), NULL);
CREATE TABLE vectors (id INT PRIMARY KEY, v VECTOR(3));
INSERT INTO vectors VALUES (1, to_vector('[1,2.5,-3e-10]')), (2, NULL);
CREATE TABLE loose_vectors (v VECTOR(3), j JSON);
INSERT INTO loose_vectors VALUES (to_vector('[1,2.5,-3e-10]'), '{"a": [1, 2]}'), (NULL, NULL);
CREATE TABLE computed (
  a INT, b INT AS (a * 2) VIRTUAL, c INT AS (a + 1) STORED, d VARCHAR(20), hidden INT INVISIBLE DEFAULT 7, KEY (b),
  KEY ((a + 5)), KEY seen (a) INVISIBLE, KEY down (d DESC), CONSTRAINT `named ck` CHECK (d <> 'it''s') NOT ENFORCED
);
INSERT INTO computed(a, d, hidden) VALUES (1, 'x', 9), (NULL, NULL, NULL);
CREATE TABLE all_computed (v INT AS (42) VIRTUAL);
INSERT INTO all_computed VALUES (), ();
SET sql_generate_invisible_primary_key = 1;
CREATE TABLE keyed_by_server (a INT, b TEXT);
INSERT INTO keyed_by_server(a, b) VALUES (5, 'x'), (6, 'y');
DELETE FROM keyed_by_server WHERE a = 5;
SET sql_generate_invisible_primary_key = 0;
CREATE TABLE no_key (a INT, b TEXT);
INSERT INTO no_key VALUES (1, 'd'), (1, 'd'), (NULL, NULL);
CREATE TABLE parents (id INT PRIMARY KEY, name VARCHAR(20), UNIQUE KEY (name));
CREATE TABLE children (id INT PRIMARY KEY, p INT, CONSTRAINT `fk ü` FOREIGN KEY (p) REFERENCES parents(id) ON DELETE CASCADE);
INSERT INTO parents VALUES (1, 'a');
INSERT INTO children VALUES (1, 1);
CREATE TABLE many_values (id INT PRIMARY KEY, j JSON, KEY zips ((CAST(j -> '$.zip' AS UNSIGNED ARRAY))));
INSERT INTO many_values VALUES (1, '{"zip": [94582, 94536]}');
CREATE TABLE parts (id INT, d DATE, PRIMARY KEY (id, d)) PARTITION BY RANGE COLUMNS (d)
  (PARTITION p0 VALUES LESS THAN ('2020-01-01'), PARTITION pm VALUES LESS THAN (MAXVALUE));
INSERT INTO parts VALUES (1, '2019-05-05'), (2, '2030-01-01');
CREATE TABLE isam (id INT PRIMARY KEY, t VARCHAR(10)) ENGINE = MyISAM;
INSERT INTO isam VALUES (1, 'm');
CREATE TABLE log (x VARCHAR(200));
CREATE VIEW z AS SELECT id, tiny FROM numbers;
CREATE VIEW a_dep AS SELECT id FROM z;
DELIMITER //
SET sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES'//
CREATE TRIGGER second BEFORE INSERT ON no_key FOR EACH ROW BEGIN INSERT INTO log VALUES ('2 \' || "new"."b"); END//
SET sql_mode = ''//
CREATE TRIGGER first BEFORE INSERT ON no_key FOR EACH ROW PRECEDES second INSERT INTO log VALUES ("1 ü😀")//
CREATE PROCEDURE p(IN a VARCHAR(20)) COMMENT 'co''m' SQL SECURITY INVOKER BEGIN /* a comment */ SELECT ';//ü', a; END//
CREATE FUNCTION f(a INT) RETURNS INT DETERMINISTIC RETURN a + 1 -- a comment
//
SET time_zone = '+03:00'//
CREATE EVENT `e ü` ON SCHEDULE EVERY 1 DAY STARTS '2035-05-05 05:05:05' COMMENT 'e''v' DO SELECT ';'//
DELIMITER ;
