// Small parts by known answers: digests, signatures, JSON, text, batches, numbers, inflate.
#include "check.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <elf.h>
#include <functional>
#include <string>

#include "base/blake3.h"
#include "base/ed25519.h"
#include "base/errors.h"
#include "base/json.h"
#include "base/schema.h"
#include "base/sha256.h"
#include "base/sha512.h"
#include "base/sort.h"
#include "base/text.h"
#include "engine/compose.h"
#include "engine/elf_image.h"
#include "engine/host.h"
#include "tensors/convert.h"
#include "tensors/crc32.h"
#include "tensors/inflate.h"

int failures = 0;

namespace {

std::string bytes_of(const std::string &text) {
    std::string out;
    for (size_t i = 0; i < text.size(); i += 2)
        out.push_back(static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16)));
    return out;
}

void test_digests() { // FIPS 180-4's examples
    CHECK(ob::sha256_hex("abc", 3) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(ob::sha256_hex("", 0) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    std::string million(1000000, 'a');
    CHECK(ob::sha256_hex(million.data(), million.size()) ==
          "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    ob::Sha256 pieces; // pieces of any size give what the whole gives
    for (size_t i = 0, size = 1; i < million.size(); i += size, size = 1 + size * 7 % 191) {
        pieces.update(&million[i], std::min(size, million.size() - i));
    }
    CHECK(pieces.hex() == ob::sha256_hex(million.data(), million.size()));
    CHECK(ob::sha512({"a", "bc"})[0] == 0xdd && ob::sha512({"abc"})[63] == 0x9f);
    std::string almost(119, 'x'), block(111, 'x');
    CHECK(ob::sha512({almost}) != ob::sha512({block}));
    CHECK(ob::crc32("123456789") == 0xcbf43926u);
}

// The input of the standard's own vectors: 0, 1, ... 250, 0, ... The digests are the reference implementation's.
void test_trees() {
    const std::pair<size_t, const char *> cases[] = {
        {0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"},
        {1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"},
        {1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7"},
        {1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444"},
        {65536, "68d647e619a930e7b1082f74f334b0c65a315725569bdc123f0ee11881717bfe"},
        {(size_t{3} << 20) + 1000, "e6a0e027cc785a2f599feebf8806b7b195b438865fdb71aff03eae81e40a911e"},
    };
    size_t wide = ob::Blake3Tree::use_lanes(SIZE_MAX);
    for (size_t lanes = wide; lanes >= 4; lanes /= 2) { // each form that this processor has
        CHECK(ob::Blake3Tree::use_lanes(lanes) == lanes);
        for (const auto &[size, digest] : cases) {
            std::vector<unsigned char> data(size + 1);
            for (size_t i = 0; i < size; ++i) data[i] = static_cast<unsigned char>(i % 251);
            ob::Blake3Tree tree(size);
            for (size_t i = tree.pieces(); i-- > 0;) tree.add(i, data.data() + i * tree.PIECE_BYTES); // any order
            CHECK(tree.hex() == digest);
        }
    }
    ob::Blake3Tree::use_lanes(SIZE_MAX);
    std::printf("digests by %zu lanes at most\n", wide);
}

void test_signatures() { // RFC 8032, 7.1, tests 1 to 3
    std::string key = bytes_of("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    std::string signature =
        bytes_of("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e3970"
                 "1cf9b46bd25bf5f0595bbe24655141438e7a100b");
    CHECK(ob::ed25519_verify(key, "", signature));
    CHECK(!ob::ed25519_verify(key, "x", signature));
    CHECK(ob::ed25519_usable(key));
    std::string second = bytes_of("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    std::string by_second =
        bytes_of("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613"
                 "d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
    CHECK(ob::ed25519_verify(second, "\x72", by_second));
    for (size_t i = 0; i < 64; ++i) {
        std::string other = by_second;
        other[i] = static_cast<char>(other[i] ^ 1);
        CHECK(!ob::ed25519_verify(second, "\x72", other));
    }
    std::string third = bytes_of("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025");
    std::string by_third =
        bytes_of("6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f7609"
                 "84dc6594a7c15e9716ed28dc027beceea1ec40a");
    CHECK(ob::ed25519_verify(third, "\xaf\x82", by_third));
    CHECK(!ob::ed25519_usable(std::string(1, '\1') + std::string(31, '\0'))); // the neutral point
    CHECK(!ob::ed25519_usable(std::string(32, '\0')));                        // of order four
    CHECK(!ob::ed25519_usable(std::string(32, '\xff')));                      // no point
}

bool is_refused(const std::string &text) {
    try {
        ob::parse_json(text, "x");
        return false;
    } catch (const ob::Error &error) {
        return error.status == OVENBIRD_MANIFEST_INVALID;
    }
}

void test_json() {
    for (const char *text : {"",
                             "{",
                             "[1,]",
                             "{\"a\":1,\"a\":2}",
                             "NaN",
                             "Infinity",
                             "-",
                             "01",
                             "1.",
                             ".5",
                             "1e",
                             "tru",
                             "\"\\ud800\"",
                             "\"\\udc00\"",
                             "\"\\ud800\\u0041\"",
                             "\"\n\"",
                             "\"\\x\"",
                             "[1] 2",
                             "\"\xff\"",
                             "\"\xc0\x80\"",
                             "\xef\xbb\xbf{}",
                             "'a'",
                             "{1:2}"}) {
        CHECK(is_refused(text));
    }
    CHECK(is_refused(std::string(66, '[') + std::string(66, ']')));
    CHECK(!is_refused(std::string(65, '[') + std::string(65, ']')));
    CHECK(is_refused(std::string(5000, '9')));
    ob::Json value =
        ob::parse_json("{\"a\": [1, -2.5e3, true, null, \"\\ud83d\\ude00\\n\"], \"b\": 9223372036854775808}", "x");
    CHECK(ob::shown(value) == "{'a': [1, -2500.0, True, None, '\xf0\x9f\x98\x80\\n'], 'b': 9223372036854775808}");
    CHECK(value.find("b")->huge && !value.find("a")->items[0].huge);
    CHECK(ob::json_text(value.find("a")->items[4]) == "\"\\ud83d\\ude00\\n\"");
}

void test_text() {
    CHECK(ob::repr(0.1) == "0.1" && ob::repr(1e16) == "1e+16" && ob::repr(123456.0) == "123456.0");
    CHECK(ob::repr(1e-5) == "1e-05" && ob::repr(0.0001) == "0.0001" && ob::repr(-0.0) == "-0.0");
    CHECK(ob::repr(5e-324) == "5e-324" && ob::repr(1.7976931348623157e308) == "1.7976931348623157e+308");
    CHECK(ob::repr(1e22) == "1e+22" && ob::repr(0x1p-44) == "5.684341886080802e-14" && ob::repr(-12.5) == "-12.5");
    CHECK(ob::repr(9007199254740993.0) == "9007199254740992.0" && ob::repr(0x1p-1022) == "2.2250738585072014e-308");
    CHECK(ob::str(ob::quoted("it's")) == "\"it's\"" && ob::str(ob::quoted("a\"'")) == "'a\"\\''");
    CHECK(ob::one_line("\x1b[2J\n") == "\\x1b[2J\\n");
    CHECK(ob::char_count(ob::str(ob::shown(std::string(200, 'x')))) == 80);
    const char *literal = "a";
    std::string text = "bc";
    CHECK(ob::str(literal, text, std::string_view("de", 1), ob::quoted("e\n"), 'f', -1, INT64_MIN, UINT64_MAX) ==
          "abcd'e\\n'f-1-922337203685477580818446744073709551615");
    CHECK(ob::str(uint8_t{200}, short{-2}, 3u, true ? "" : "x") == "200-23");
    CHECK(ob::PATH.matches("a/b/c.d/e-f/g_h") && !ob::PATH.matches("a//b") && !ob::PATH.matches(".a"));
    CHECK(!ob::PATH.matches("a/b/c/d/e/f") && !ob::PATH.matches("../a") && !ob::PATH.matches("a/"));
    CHECK(ob::VERSION.matches("2.36") && !ob::VERSION.matches("2.") && !ob::VERSION.matches("2"));
    CHECK(ob::DRIVER.matches("13.0") && ob::DRIVER.matches("") && !ob::DRIVER.matches("1300.0"));
}

// Against std::sort: every order of few numbers, and many of which some are equal.
void test_sort() {
    for (size_t count = 0; count <= 6; ++count) {
        std::vector<int> numbers(count);
        for (size_t i = 0; i < count; ++i) numbers[i] = static_cast<int>(i * i % 5); // 0 1 4 4 1 0
        std::sort(numbers.begin(), numbers.end());
        const std::vector<int> right = numbers;
        do {
            std::vector<int> mine = numbers;
            ob::sort(mine);
            CHECK(mine == right);
        } while (std::next_permutation(numbers.begin(), numbers.end()));
    }
    std::vector<std::string> texts;
    for (unsigned i = 0; i < 1000; ++i) texts.push_back(std::to_string(i * 2654435761u % 700));
    std::vector<std::string> right = texts;
    std::sort(right.begin(), right.end(), std::greater<>());
    ob::sort(texts, std::greater<>());
    CHECK(texts == right);
}

// A value with room for eight dimensions: a ninth is refused, and order is that of lists.
void test_shapes() {
    ob::Shape shape{2, 3};
    shape.push_front(1);
    CHECK(shape == (ob::Shape{1, 2, 3}) && shape != (ob::Shape{1, 2}) && shape.back() == 3);
    CHECK((ob::Shape{1, 2}) < shape && shape < (ob::Shape{1, 3}) && !(shape < shape));
    while (shape.size() < 8) shape.push_back(0);
    for (bool front : {true, false}) {
        bool refused = false;
        try {
            front ? shape.push_front(4) : shape.push_back(4);
        } catch (const ob::Error &) {
            refused = true;
        }
        CHECK(refused && shape.size() == 8 && shape[0] == 1);
    }
}

// The fields of an object by one text: those that are not named, and those that are missing.
void test_fields() {
    ob::Json value = ob::parse_json("{\"size\": 1, \"extra\": 2, \"another\": 3}", "x");
    auto message = [&](const char *fields) {
        try {
            ob::check_fields(ob::Value(value, "x"), fields);
            return std::string();
        } catch (const ob::Error &error) {
            return error.message;
        }
    };
    CHECK(message("another extra? size missing?").empty());
    CHECK(message("size extra? another missing") == "x lacks the field 'missing'");
    CHECK(message("size") == "x has an unknown field 'another'"); // the first by name
    CHECK(message("size extra? anothe? another_") == "x has an unknown field 'another'");
    CHECK(message("sizes another extra") == "x has an unknown field 'size'");
}

void test_batches() {
    using Sizes = std::vector<int64_t>;
    CHECK(ob::plan_batches(1, {1, 8}) == Sizes{1});
    CHECK(ob::plan_batches(11, {1, 8}) == (Sizes{8, 1, 1, 1}));
    CHECK(ob::plan_batches(7, {8}) == Sizes{8});
    CHECK(ob::plan_batches(9, {1, 4}) == (Sizes{4, 4, 1}));
    CHECK(ob::plan_batches(100, {4}).size() == 25);
}

void test_numbers() {
    ob::TensorSpec half{"x", OVENBIRD_FLOAT16, {4}, ""};
    float numbers[] = {1.0f, 65519.0f, 6.0e-8f, -0.333333f};
    uint16_t halves[4];
    ob::convert(half, OVENBIRD_FLOAT32, numbers, 4, halves);
    CHECK(halves[0] == 0x3c00 && halves[1] == 0x7bff && halves[2] == 0x0001 && halves[3] == 0xb555);
    CHECK(ob::number_at(OVENBIRD_FLOAT16, halves, 2) == std::ldexp(1.0, -24));
    ob::TensorSpec small{"x", OVENBIRD_UINT8, {2}, ""};
    int64_t wide[] = {255, -1};
    uint8_t bytes[2];
    ob::convert(small, OVENBIRD_INT64, wide, 1, bytes);
    CHECK(bytes[0] == 255);
    try {
        ob::convert(small, OVENBIRD_INT64, wide, 2, bytes);
        CHECK(false);
    } catch (const ob::Error &error) {
        CHECK(error.message == "x holds -1 to 255, beyond uint8 (0 to 255)");
    }
}

void test_inflate() {
    std::string out;
    CHECK(ob::inflate(bytes_of("4b4c4a0600"), 3, out) && out == "abc");
    CHECK(ob::inflate(std::string("\1\3\0\xfc\xff", 5) + "abc", 3, out) && out == "abc");
    CHECK(!ob::inflate(bytes_of("4b4c4a0600"), 2, out));
    CHECK(!ob::inflate(bytes_of("4b4c4a"), 3, out));
    CHECK(!ob::inflate("", 0, out));
}

template <typename Word> void test_not_finite_of(ovenbird_dtype dtype, Word infinity, Word nan, Word largest) {
    for (size_t count : {0, 1, 255, 256, 257, 1000}) { // a block's length and its neighbours
        std::vector<Word> words(count, largest);
        CHECK(ob::count_not_finite(dtype, words.data(), count) == 0);
        for (size_t i = 0; i < count; i += 3) words[i] = i % 2 ? infinity : nan;
        CHECK(ob::count_not_finite(dtype, words.data(), count) == (count + 2) / 3);
        std::vector<Word> all(count, static_cast<Word>(infinity | ~(static_cast<Word>(-1) >> 1))); // minus infinity
        CHECK(ob::count_not_finite(dtype, all.data(), count) == count);
    }
}

void test_not_finite() {
    test_not_finite_of<uint32_t>(OVENBIRD_FLOAT32, 0x7f800000u, 0x7fc00000u, 0x7f7fffffu);
    test_not_finite_of<uint16_t>(OVENBIRD_FLOAT16, 0x7c00u, 0x7e00u, 0x7bffu);
    test_not_finite_of<uint64_t>(OVENBIRD_FLOAT64, 0x7ff0000000000000u, 0x7ff8000000000000u, 0x7fefffffffffffffu);
    uint32_t whole = 0x7f800000u;
    CHECK(ob::count_not_finite(OVENBIRD_INT32, &whole, 1) == 0);
}

Elf64_Ehdr library_header(size_t segments) {
    Elf64_Ehdr header{};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    header.e_type = ET_DYN;
#if defined(__x86_64__)
    header.e_machine = EM_X86_64;
#else
    header.e_machine = EM_AARCH64;
#endif
    header.e_phoff = sizeof header;
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = static_cast<Elf64_Half>(segments);
    return header;
}

template <typename Library> std::string why_not_loaded(const Library &library) {
    try {
        ob::ElfImage(reinterpret_cast<const unsigned char *>(&library), sizeof library, "model.so", ob::host_symbols());
        return "";
    } catch (const ob::Error &error) {
        return error.message;
    }
}

// Found by fuzzing, as a copy from nowhere.
void test_a_library_of_nothing() {
    CHECK(why_not_loaded(library_header(0)).find("its header is odd") != std::string::npos);
}

// A table of symbols whose last chain has no end in the file, and 256 MiB of zeros behind it.
void test_a_library_of_endless_symbols() {
    struct {
        Elf64_Ehdr header = library_header(2);
        Elf64_Phdr all{}, dynamic{};
        Elf64_Dyn entries[4] = {};
        uint32_t table[6] = {1, 1, 0, 0, 1}; // a bucket, the first symbol, no filter, the bucket's symbol, its chain
    } library;
    const char *start = reinterpret_cast<const char *>(&library);
    auto place = [&](const void *field) { return static_cast<Elf64_Addr>(static_cast<const char *>(field) - start); };
    library.all.p_type = PT_LOAD;
    library.all.p_flags = PF_R;
    library.all.p_filesz = sizeof library;
    library.all.p_memsz = 256 << 20;
    library.dynamic.p_type = PT_DYNAMIC;
    library.dynamic.p_vaddr = place(library.entries);
    library.dynamic.p_memsz = sizeof library.entries;
    library.entries[0].d_tag = DT_GNU_HASH;
    library.entries[0].d_un.d_ptr = place(library.table);
    CHECK(why_not_loaded(library).find("it has too many symbols") != std::string::npos);
}

} // namespace

int main() {
    test_digests();
    test_trees();
    test_signatures();
    test_json();
    test_text();
    test_decimals();
    test_sort();
    test_fields();
    test_shapes();
    test_batches();
    test_numbers();
    test_inflate();
    test_not_finite();
    test_a_library_of_nothing();
    test_a_library_of_endless_symbols();
    test_pool();
    std::printf("%d checks failed\n", failures);
    return failures != 0;
}
