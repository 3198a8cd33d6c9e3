// ovenbird-mutants KIND FILE SEED COUNT: reads COUNT damaged copies of a file, each by the same SEED the same; prints
// how many were read all the same. A crash, a sanitizer's report or another exception is the fault that it looks for.
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>

#include "targets.h"

namespace {

std::string read_file(const char *path) {
    std::string data;
    FILE *file = std::fopen(path, "rb");
    if (!file) return data;
    char piece[65536];
    while (size_t count = std::fread(piece, 1, sizeof piece, file)) data.append(piece, count);
    std::fclose(file);
    return data;
}

// One to four changes: a bit, a byte, a word that is at an edge, a piece left out, twice, or from elsewhere.
std::string damaged(const std::string &whole, std::mt19937_64 &random) {
    static const std::string pieces[] = {"-1",   "0",     "4294967296", "9223372036854775808", "null", "{}", "[]",
                                         "\"\"", "1e999", "\\ud800"};
    std::string data = whole;
    for (uint64_t changes = 1 + random() % 4; changes && !data.empty(); --changes) {
        size_t place = random() % data.size(), length = 1 + random() % 16;
        switch (random() % 7) {
        case 0: data[place] = static_cast<char>(data[place] ^ 1 << random() % 8); break;
        case 1: data[place] = static_cast<char>(random()); break;
        case 2:
            for (size_t i = 0; i < 8 && place + i < data.size(); ++i) data[place + i] = "\xff\0\x7f\x80"[random() % 4];
            break;
        case 3: data.erase(place, length); break;
        case 4: data.insert(place, data.substr(place, length)); break;
        case 5: data.insert(place, data.substr(random() % data.size(), length)); break;
        default: data.replace(place, length, pieces[random() % 10]);
        }
    }
    return random() % 16 == 0 ? data.substr(0, data.size() ? random() % data.size() : 0) : data;
}

} // namespace

int main(int count, char **words) {
    if (count != 5) return 2;
    std::string whole = read_file(words[2]);
    if (whole.empty() || !read_hostile(words[1], whole)) {
        std::fprintf(stderr, "%s is not read as it is\n", words[2]);
        return 1;
    }
    std::mt19937_64 random(std::strtoull(words[3], nullptr, 10));
    long read = 0, all = std::atol(words[4]);
    for (long i = 0; i < all; ++i) read += read_hostile(words[1], damaged(whole, random));
    std::printf("%ld of %ld were read\n", read, all);
    return 0;
}
