"""`fs.export(...)`."""

from featurestack.interface import of_command

export = of_command("export")
