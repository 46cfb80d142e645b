"""Drop-in faces of other tools over this package: existing scripts run by changing an import."""
