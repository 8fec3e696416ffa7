"""How far measurements can be trusted, and the volumes of one ventricle by several ways."""
