"""Backups as a contract of every service that keeps data: what it declares, who makes them, how it begins with one."""
