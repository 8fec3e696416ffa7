"""Many studies: found, processed in several processes, and told in one table and one page."""
