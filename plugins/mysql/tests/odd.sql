-- What a dump stumbles over, for MariaDB: types at their ends, names, every kind of object.
SET NAMES utf8mb4;
SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', time_zone = '+00:00';
ALTER DATABASE CHARACTER SET latin1 COLLATE latin1_german1_ci COMMENT 'it''s \\ a "test"';

CREATE TABLE numbers (
  id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, tiny TINYINT UNSIGNED ZEROFILL, big BIGINT, exact DECIMAL(65,30),
  single FLOAT, rounded FLOAT(7,3), twice DOUBLE, bits BIT(64), few BIT(7) DEFAULT b'1010101', born YEAR
) AUTO_INCREMENT = 18446744073709551000 COMMENT = 'ünï ''q'' \\';
INSERT INTO numbers VALUES
  (0, 0, -9223372036854775808, -99999999999999999999999999999999999.999999999999999999999999999999, -3.402823466e38,
   -9999.999, -1.7976931348623157e308, 0, b'0', 0),
  (1, 255, 9223372036854775807, 0.000000000000000000000000000001, 1.17549435e-38, 1234.567, 5e-324,
   0xffffffffffffffff, b'1111111', 2155),
  (2, NULL, NULL, NULL, 3.14159265, 0.1, 0.1, 0x0a0d095c27222600, 0x1e, 1901),
  (3, 7, 0, 0, 16777217, -0.0, 1e22, 0x101e4e0000000000, DEFAULT, 70);
CREATE TABLE times (
  id INT PRIMARY KEY, d DATE, dt DATETIME(6), ts TIMESTAMP(6) NULL, t TIME(6),
  changed TIMESTAMP NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp()
);
INSERT INTO times VALUES
  (1, '0000-00-00', '0000-00-00', '1970-01-01 00:00:01', '-838:59:59', '2024-03-31 01:30:00'),
  (2, '2024-02-31', '9999-12-31 23:59:59.999999', '2038-01-19 03:14:07.999999', '-00:00:00.000001', '2024-10-27 00:30:00'),
  (3, '2023-00-15', NULL, NULL, NULL, '2024-10-27 01:30:00');
CREATE TABLE texts (
  id INT PRIMARY KEY, e ENUM('a', 'b,c', 'it''s', '\\', 'ü', '3', '1') CHARACTER SET utf8mb4,
  empty_e ENUM('x', '', '2'), s SET('x', 'y z', 'o''k', '1'), empty_s SET('', 'q'), c CHAR(10) CHARACTER SET utf8mb4,
  fixed BINARY(8), raw VARBINARY(300), western VARCHAR(300), four TEXT CHARACTER SET utf8mb4,
  wide VARCHAR(200) CHARACTER SET utf16, wider VARCHAR(60) CHARACTER SET utf32, two VARCHAR(100) CHARACTER SET ucs2,
  cyrillic VARCHAR(100) CHARACTER SET cp1251, japanese VARCHAR(100) CHARACTER SET sjis,
  chinese VARCHAR(100) CHARACTER SET gbk, j JSON, ip INET6, old_ip INET4, u UUID
);
SET @all = (SELECT unhex(group_concat(lpad(hex(seq), 2, '0') ORDER BY seq SEPARATOR '')) FROM seq_0_to_255);
INSERT INTO texts VALUES
  (1, 'it''s', '', 'x,o''k', 'q', 'tr  ', 'a\0b', @all, convert(@all USING latin1),
   '😀 tab\t nl\n cr\r nul\0 bs\\ q'' dq" bt` %_ \Z end', '😀𝒳 \n\t\\\'', '😀', 'ucs ü', 'Привет', '日本語ソ表', '中文',
   '{"k": "v\\n\\"😀", "n": 1.0, "big": 12345678901234567890}', '::1', '10.0.0.255', '123e4567-e89b-12d3-a456-426614174000'),
  (2, '3', '2', '', '', '', '', '', '', '', '', '', '', '', '', '', '""', NULL, NULL, NULL),
  (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (4, '\\', 'x', '1', '', 'N', '\\N', '\\N', 'NULL', '\\N', 'NULL', 'N', NULL, NULL, NULL, NULL, '[]', '::', '0.0.0.0', NULL),
  (5, '1', 'x', '1', '', 0x1e, 0x10, 0x104e, 0x1e1e, 0x101e10, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT IGNORE INTO texts(id, e, empty_e) VALUES (6, 'never', 'never');
CREATE TABLE counted_json (id INT AUTO_INCREMENT PRIMARY KEY, u UUID, e ENUM('', 'a'));
INSERT INTO counted_json VALUES (0, '123e4567-e89b-12d3-a456-426614174000', ''), (5, NULL, 'a');
CREATE TABLE shapes (id INT AUTO_INCREMENT PRIMARY KEY, g GEOMETRY NOT NULL, p POINT, SPATIAL INDEX (g));
INSERT INTO shapes(g, p) VALUES (st_geomfromtext('POINT(1.1 -2.5e-10)', 4326), point(1, 2)), (st_geomfromtext(
  'GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1),POLYGON((0 0,0 3,3 3,3 0,0 0)))'), NULL);
CREATE TABLE computed (
  a INT, b INT AS (a * 2) VIRTUAL, c INT AS (a + 1) STORED, d VARCHAR(20), e VARCHAR(30) AS (concat(d, '''\\')) STORED,
  hidden INT INVISIBLE DEFAULT 7, KEY (b), KEY (c), CONSTRAINT `named ck` CHECK (d <> 'it''s')
);
INSERT INTO computed(a, d, hidden) VALUES (1, 'x', 9), (NULL, NULL, NULL), (3, 'q"', 0);
CREATE TABLE all_computed (v INT AS (42) VIRTUAL, w INT AS (43) STORED);
INSERT INTO all_computed VALUES (), (), ();
CREATE TABLE `we``ird ta.ble/ü%s
{x}` (`co``l 1` INT, `sel``ect` VARCHAR(10), `日本` INT DEFAULT 5, `%s` INT, `new
line` INT, PRIMARY KEY (`co``l 1`)) COMMENT = 'x';
INSERT INTO `we``ird ta.ble/ü%s
{x}` VALUES (1, 'a', 1, 2, 3), (2, 'b', NULL, 3, 4);
CREATE TABLE first_of_two (id INT PRIMARY KEY, r INT, name VARCHAR(10) DEFAULT (concat('a', 'b')), KEY (r));
CREATE TABLE second_of_two (
  id INT PRIMARY KEY, r INT, FOREIGN KEY (r) REFERENCES first_of_two(id) ON DELETE CASCADE ON UPDATE SET NULL
);
ALTER TABLE first_of_two ADD CONSTRAINT `fk ü` FOREIGN KEY (r) REFERENCES second_of_two(id);
SET foreign_key_checks = 0;
INSERT INTO first_of_two VALUES (1, 2, DEFAULT), (2, 1, 'x');
INSERT INTO second_of_two VALUES (1, 2), (2, 1);
SET foreign_key_checks = 1;
CREATE TABLE tree (id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES tree(id));
INSERT INTO tree VALUES (5, NULL), (1, 5);
CREATE TABLE parts (id INT, d DATE, v VARCHAR(20), PRIMARY KEY (id, d)) PARTITION BY RANGE COLUMNS (d)
  SUBPARTITION BY HASH (id) SUBPARTITIONS 2
  (PARTITION p0 VALUES LESS THAN ('2020-01-01') COMMENT = 'p''0', PARTITION pm VALUES LESS THAN (MAXVALUE));
INSERT INTO parts VALUES (1, '2019-05-05', 'a'), (2, '2030-01-01', 'b'), (3, '2020-01-01', 'c');
CREATE TABLE no_key (a INT, b TEXT);
INSERT INTO no_key VALUES (1, 'dup'), (1, 'dup'), (NULL, NULL);
CREATE TABLE nothing (a INT);
CREATE TABLE counted (id INT AUTO_INCREMENT PRIMARY KEY, x INT) AUTO_INCREMENT = 1000;
INSERT INTO counted VALUES (0, 1), (-5, 2), (7, 3);
CREATE TABLE words (id INT PRIMARY KEY, t TEXT, FULLTEXT KEY (t));
INSERT INTO words VALUES (1, 'the quick brown fox');
CREATE TABLE isam (id INT PRIMARY KEY, t VARCHAR(10)) ENGINE = MyISAM ROW_FORMAT = FIXED;
INSERT INTO isam VALUES (1, 'm');
CREATE TABLE aria (id INT) ENGINE = Aria TRANSACTIONAL = 1;
INSERT INTO aria VALUES (1);
CREATE TABLE in_memory (id INT) ENGINE = MEMORY;
INSERT INTO in_memory VALUES (3);
CREATE TABLE squeezed (id INT PRIMARY KEY, t TEXT COMPRESSED) ROW_FORMAT = COMPRESSED KEY_BLOCK_SIZE = 8;
INSERT INTO squeezed VALUES (1, repeat('z', 5000));
CREATE TABLE keys_of_all_kinds (
  a VARCHAR(300), b BLOB, whole TEXT, n INT NOT NULL, UNIQUE KEY u (b(10)), KEY k (a(5)), KEY kd (a DESC),
  KEY off (a) IGNORED, UNIQUE (whole), UNIQUE (n)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_520_ci;
INSERT INTO keys_of_all_kinds VALUES ('x', 'y', 'z', 1);
SET timestamp = 1700000000;
CREATE TABLE history (id INT PRIMARY KEY, v INT) WITH SYSTEM VERSIONING;
INSERT INTO history VALUES (1, 1), (2, 2);
CREATE TABLE named_history (
  id INT PRIMARY KEY, v INT, since TIMESTAMP(6) GENERATED ALWAYS AS ROW START, till TIMESTAMP(6) GENERATED ALWAYS AS ROW END,
  PERIOD FOR SYSTEM_TIME (since, till)
) WITH SYSTEM VERSIONING;
INSERT INTO named_history(id, v) VALUES (1, 1);
SET timestamp = 1700000100;
UPDATE history SET v = 10 WHERE id = 1;
UPDATE named_history SET v = 2;
SET timestamp = 1700000200;
DELETE FROM history WHERE id = 2;
SET timestamp = DEFAULT;
CREATE TABLE bookings (id INT, s DATE, e DATE, PERIOD FOR p(s, e), UNIQUE (id, p WITHOUT OVERLAPS));
INSERT INTO bookings VALUES (1, '2020-01-01', '2021-01-01');
CREATE SEQUENCE numbering START WITH 5 INCREMENT BY 3 MAXVALUE 1000 CYCLE CACHE 20;
DO nextval(numbering), nextval(numbering);
CREATE SEQUENCE `seq ü` START WITH -10 INCREMENT BY -1 MINVALUE -1000 MAXVALUE -1;
CREATE TABLE numbered (id INT DEFAULT nextval(numbering), x VARCHAR(40) DEFAULT 'nextval(`x`.`y`)');
INSERT INTO numbered VALUES (DEFAULT, DEFAULT);
CREATE TABLE log (x VARCHAR(200));

CREATE VIEW z_base AS SELECT id, tiny, 'ü😀' AS lit FROM numbers;
CREATE VIEW a_dep AS SELECT id, lit FROM z_base WHERE tiny IS NOT NULL WITH CHECK OPTION;
CREATE ALGORITHM = MERGE DEFINER = nobody@`%` SQL SECURITY INVOKER VIEW merged AS
  SELECT a_dep.id, times.d FROM a_dep JOIN times ON times.id = a_dep.id;
CREATE VIEW `v ``w` AS SELECT `co``l 1` AS `x y` FROM `we``ird ta.ble/ü%s
{x}`;
DELIMITER //
SET sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES'//
CREATE DEFINER = ghost@`10.%` TRIGGER second BEFORE INSERT ON no_key FOR EACH ROW
BEGIN INSERT INTO log VALUES ('2 \' || "new"."b"); END//
SET sql_mode = ''//
CREATE TRIGGER third BEFORE INSERT ON no_key FOR EACH ROW FOLLOWS second INSERT INTO log VALUES ('3 "ü😀"')//
CREATE TRIGGER first BEFORE INSERT ON no_key FOR EACH ROW PRECEDES second INSERT INTO log VALUES ("1")//
CREATE TRIGGER `tr ``g` AFTER UPDATE ON no_key FOR EACH ROW BEGIN /* kept; */ SET @x = 1; -- kept ;
# kept too
END//
SET NAMES latin1//
CREATE PROCEDURE western(IN a VARCHAR(20), OUT b VARCHAR(20) CHARSET utf8mb4) COMMENT 'co''m' MODIFIES SQL DATA
SQL SECURITY INVOKER BEGIN DECLARE x INT DEFAULT 5; /* a comment */ SET b = concat(a, ';//ü'); END//
SET NAMES utf8mb4//
SET sql_mode = 'ORACLE'//
CREATE PROCEDURE oracular(a INT) AS x INT := 1; BEGIN NULL; END//
CREATE PACKAGE packed AS PROCEDURE pp; END//
CREATE PACKAGE BODY packed AS PROCEDURE pp AS BEGIN SELECT 1; END; END//
SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'//
CREATE FUNCTION joined("a b" VARCHAR(50)) RETURNS VARCHAR(100) CHARSET utf8mb4 DETERMINISTIC
RETURN concat("a b", '\', 'ü')//
SET sql_mode = ''//
CREATE AGGREGATE FUNCTION total(x INT) RETURNS INT READS SQL DATA BEGIN
DECLARE s INT DEFAULT 0; DECLARE CONTINUE HANDLER FOR NOT FOUND RETURN s;
LOOP FETCH GROUP NEXT ROW; SET s = s + x; END LOOP; END//
CREATE VIEW uses_function AS SELECT joined('q') AS q//
SET time_zone = '+03:00'//
CREATE DEFINER = ev@`%` EVENT `e ü` ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' ENDS '2031-01-01 00:00:00'
ON COMPLETION PRESERVE DISABLE COMMENT 'e''v' DO BEGIN UPDATE numbers SET tiny = 1 WHERE 0; END//
CREATE EVENT waiting ON SCHEDULE AT '2035-05-05 05:05:05' DO SELECT ';'//
DELIMITER ;
