"""How the templates meet controls of NIST 800-53, HIPAA, PCI DSS and CIS."""
