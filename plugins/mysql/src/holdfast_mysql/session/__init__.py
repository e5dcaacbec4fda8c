"""Connections to a server: what it is, what it is asked, and how SQL writes names and texts."""

from holdfast_mysql.session.connection import Session, connect, use
from holdfast_mysql.session.server import Server
from holdfast_mysql.session.sql import batches, literal, plain_literal, quoted

__all__ = ["Server", "Session", "batches", "connect", "literal", "plain_literal", "quoted", "use"]
