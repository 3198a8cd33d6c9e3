"""What lets others trust an artifact: its bill of materials, its provenance, checksums, and signatures.

record_origin(writer, specs, options, tuning)     # sbom.cdx.json and provenance.json, before the manifest
write_sums(folder)                                # SHA256SUMS, after it
sign_artifact(folder, read_private_key(Path("release.key")))
"""
