// Who signed an artifact: public keys, and their signatures beside a manifest, checked before a byte of it is
// interpreted
// (`ovenbird_runtime/integrity/signatures.py`).
//
//     std::vector<PublicKey> keys = required_keys("release.pub");      // PEM, one Ed25519 key or several
//     check_signature(root, manifest, keys);
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "artifact/files.h"

namespace ob {

struct PublicKey {
    std::string raw; // 32 bytes
    std::string id;  // 32 hexadecimal characters
};

// The keys of the file `path`, else of the file that $OVENBIRD_REQUIRE_SIGNATURE names, else none. Throws
// KeyUnreadable, WrongKeyType.
std::vector<PublicKey> required_keys(const char *path);

// The id of the first key that signed these bytes. Throws SignatureMissing, SignatureForeign, SignatureWrong,
// UnsafePath.
std::string check_signature(const Root &root, std::string_view manifest, const std::vector<PublicKey> &keys);

// The ids of the keys whose signatures lie in an artifact, unchecked, sorted.
std::vector<std::string> signers(const Root &root);

} // namespace ob
