"""The MySQL and MariaDB engine of Holdfast: exact, parallel backups without any client program."""
