#include "artifact/signatures.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <optional>

#include "artifact/bundle.h"
#include "artifact/files.h"
#include "base/ed25519.h"
#include "base/errors.h"
#include "base/limits.h"
#include "base/sha256.h"
#include "base/sort.h"
#include "base/text.h"

namespace ob {

namespace {

constexpr const char *REQUIRE_SIGNATURE = "OVENBIRD_REQUIRE_SIGNATURE";
// SubjectPublicKeyInfo of an Ed25519 key is this and the key's 32 bytes (RFC 8410).
const std::string DER_PREFIX("\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00", 12);

[[noreturn]] void unreadable(const std::string &message) { fail(OVENBIRD_KEY_UNREADABLE, message); }

// Bytes of base64 with white space in it; false where it is damaged.
bool decode_base64(std::string_view text, std::string &out) {
    static const std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t word = 0;
    size_t count = 0, ends = 0;
    for (char c : text) {
        if (c == '\n' || c == '\r' || c == ' ' || c == '\t') continue;
        size_t digit = digits.find(c);
        if (c == '=') {
            ++ends;
            digit = 0;
        } else if (ends || digit == digits.npos) {
            return false;
        }
        word = word << 6 | static_cast<uint32_t>(digit);
        if (++count % 4 == 0) {
            for (int shift = 16; shift >= 0; shift -= 8) out.push_back(static_cast<char>(word >> shift));
        }
    }
    if (count % 4 || ends > 2) return false;
    out.resize(out.size() - ends);
    return true;
}

PublicKey decode_key(std::string_view label, std::string_view body, const std::string &where) {
    if (label.find("PRIVATE") != label.npos) {
        fail(OVENBIRD_WRONG_KEY_TYPE,
             where + " holds a private key: give the public one, and keep this one off targets");
    }
    if (label != "PUBLIC KEY") {
        fail(OVENBIRD_WRONG_KEY_TYPE, where, " holds a ", std::string(label),
             ", expected an Ed25519 PUBLIC KEY (`ovenbird keygen` makes one)");
    }
    std::string der;
    if (!decode_base64(body, der)) unreadable(where + " is damaged: not base64 between its PEM lines");
    if (der.compare(0, DER_PREFIX.size(), DER_PREFIX) != 0 || der.size() != DER_PREFIX.size() + 32) {
        static const std::pair<std::string, const char *> others[] = {
            {std::string("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01", 10), "RSA"},
            {std::string("\x06\x07\x2a\x86\x48\xce\x3d\x02\x01", 9), "elliptic-curve (ECDSA)"},
            {std::string("\x06\x03\x2b\x65\x6e", 5), "X25519"},
            {std::string("\x06\x03\x2b\x65\x71", 5), "Ed448"},
        };
        const char *kind = "unknown";
        for (const auto &[oid, name] : others) {
            if (der.substr(0, 40).find(oid) != der.npos) kind = name;
        }
        fail(OVENBIRD_WRONG_KEY_TYPE, where, " is a key of type ", kind,
             ", expected Ed25519 (`ovenbird keygen` makes one)");
    }
    std::string raw = der.substr(DER_PREFIX.size());
    if (!ed25519_usable(raw)) {
        unreadable(where + " is no usable Ed25519 key: its bytes are no point of large order");
    }
    return {raw, sha256_hex(der.data(), der.size()).substr(0, 32)};
}

std::vector<PublicKey> read_public_keys(const std::string &path) {
    std::string where = shown(path), data;
    File file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.descriptor() < 0) unreadable(str("the public key ", where, " cannot be read: ", reason(errno)));
    try {
        data = file.read_up_to(MAX_KEY_FILE_BYTES, where);
    } catch (const Error &error) {
        unreadable("the public key " + error.message);
    }
    if (static_cast<int64_t>(data.size()) > MAX_KEY_FILE_BYTES) {
        unreadable(
            str("the public key ", where, " has more than ", MAX_KEY_FILE_BYTES, " bytes: it is no file of keys"));
    }
    const std::string begin = "-----BEGIN ", dashes = "-----";
    const std::string no_pem = where + " is not a PEM file of public keys (-----BEGIN PUBLIC KEY-----)";
    std::vector<PublicKey> keys;
    size_t place = 0;
    while ((place = data.find(begin, place)) != data.npos) {
        size_t start = place + begin.size(), end = data.find(dashes, start);
        if (end == data.npos || end == start || end - start > 40) unreadable(no_pem);
        std::string label = data.substr(start, end - start), last = "-----END " + label + dashes;
        size_t body = end + dashes.size(), close = data.find(last, body);
        if (close == data.npos || close == body) unreadable(no_pem);
        keys.push_back(decode_key(label, std::string_view(data).substr(body, close - body), where));
        place = close + last.size();
    }
    if (keys.empty()) unreadable(no_pem);
    return keys;
}

} // namespace

std::vector<PublicKey> required_keys(const char *path) {
    if (path) return read_public_keys(path);
    const char *named = std::getenv(REQUIRE_SIGNATURE);
    if (!named) return {};
    if (!*named) {
        unreadable(str(REQUIRE_SIGNATURE, " is set but empty: name a file of public keys there, or unset it"));
    }
    return read_public_keys(named);
}

std::string check_signature(const Root &root, std::string_view manifest, const std::vector<PublicKey> &keys) {
    std::string wrong, needed;
    for (const PublicKey &key : keys) {
        std::string signature;
        needed += (needed.empty() ? "" : " or ") + key.id;
        try {
            signature = open_plain(root, str("manifest.json.", key.id, ".sig")).read_up_to(64, "the signature");
        } catch (const Error &error) {
            if (error.status != OVENBIRD_FILE_MISSING) throw;
            continue;
        }
        if (ed25519_verify(key.raw, manifest, signature)) return key.id;
        if (wrong.empty()) wrong = key.id;
    }
    if (!wrong.empty()) {
        fail(OVENBIRD_SIGNATURE_WRONG, "the signature of key ", wrong,
             " does not fit manifest.json: the artifact was changed after it was "
             "signed; do not load it, fetch it again from where it was signed");
    }
    std::vector<std::string> others = signers(root);
    if (!others.empty()) {
        others.resize(std::min<size_t>(others.size(), 4));
        fail(OVENBIRD_SIGNATURE_FOREIGN, "signed by ", join(others), ", required is ", needed,
             ": sign it with that key");
    }
    fail(OVENBIRD_SIGNATURE_MISSING, "the artifact is not signed, required is key ", needed,
         ": ovenbird sign ARTIFACT --key KEY");
}

std::vector<std::string> signers(const Root &root) {
    std::vector<std::string> found, names;
    DIR *folder = root.memory.empty() ? opendir(root.path.c_str()) : nullptr;
    if (folder) {
        while (dirent *one = readdir(folder)) names.emplace_back(one->d_name);
        closedir(folder);
    } else {
        File file =
            root.memory.empty() ? File(open(root.path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)) : File(root.memory);
        if (std::optional<Bundle> bundle = read_bundle(file)) {
            for (const BundledFile &one : bundle->files) names.push_back(one.name);
        }
    }
    const std::string head = "manifest.json.", tail = ".sig";
    for (const std::string &name : names) {
        if (name.size() != head.size() + 32 + tail.size() || name.compare(0, head.size(), head) != 0) continue;
        if (name.compare(name.size() - tail.size(), tail.size(), tail) != 0) continue;
        std::string id = name.substr(head.size(), 32);
        if (id.find_first_not_of("0123456789abcdef") == id.npos) found.push_back(id);
    }
    sort(found);
    if (found.size() > MAX_SIGNATURES) found.resize(MAX_SIGNATURES);
    return found;
}

} // namespace ob
