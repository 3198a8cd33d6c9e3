// ovenbird-run: run, inspect, selftest and bench, with the options and the JSON of `ovenbird-rt`.
//
// Exit codes: 0 good, 1 the work failed (one line says why), 2 wrong usage.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <new>

#include "artifact/bundle.h"
#include "artifact/files.h"
#include "base/errors.h"
#include "base/text.h"
#include "commands.h"

using namespace ob;

namespace {

const char USAGE[] = "Usage: ovenbird-run COMMAND DIR [OPTIONS]\n"
                     "\n"
                     "  Run models that Ovenbird compiled, without Python and without TVM.\n"
                     "\n"
                     "Commands:\n"
                     "  run DIR IMAGE...               run the network on images, JPEG or PNG\n"
                     "  run DIR -i IN.npz -o OUT.npz   or on named tensors\n"
                     "  inspect DIR                    show what it holds and what of it runs here\n"
                     "  selftest DIR                   check every file, reproduce the golden outputs\n"
                     "  bench DIR                      time the network on random inputs\n"
                     "\n"
                     "Options of all:\n"
                     "  --threads N                    threads of one call [all that are ours]\n"
                     "  --target NAME, --precision P   the variant to use [the best that runs here]\n"
                     "  --require-signature KEY.pub    load only what one of these Ed25519 keys signed\n"
                     "  --json                         print JSON, for scripts\n"
                     "run:   --preprocess NAME  --top N  --seed N  --embedding  --image-size SIZE  --max-megapixels N\n"
                     "       of boxes: --score S  --iou S  --max-boxes N  --classes NAMES  --agnostic|--by-class\n"
                     "       of text: --prompt TEXT  --max-tokens N  --beams N\n"
                     "bench: -b, --batch SIZES  --seconds S  --iterations N  --warmup N\n";

struct Command {
    const char *name;
    int (*work)(int, char **);
};

const Command COMMANDS[] = {
    {"run", ob::command_run},
    {"inspect", ob::command_inspect},
    {"selftest", ob::command_selftest},
    {"bench", ob::command_bench},
};

// The artifact in this very file, if there is one: then there is no DIR to name.
struct Own {
    std::string path, target;
};

Own find_own() {
    Own own{own_bundle(), ""};
    if (!own.path.empty()) {
        File file(open(own.path.c_str(), O_RDONLY | O_CLOEXEC));
        if (auto bundle = read_bundle(file)) own.target = bundle->target;
    }
    return own;
}

// The usage, of this file by its name where it needs no DIR.
std::string usage_of(const std::string &text) {
    std::string path = own_bundle(), name = path.substr(path.rfind('/') + 1), found = text;
    if (path.empty()) return found;
    auto replace = [&found](const std::string &old, const std::string &with) {
        for (size_t at = 0; (at = found.find(old, at)) != found.npos; at += with.size()) {
            found.replace(at, old.size(), with);
        }
    };
    replace(" DIR", "");
    replace("ovenbird-run", one_line(name));
    return found;
}

int fail_usage(const std::string &message) {
    std::string usage =
        usage_of("Usage: ovenbird-run COMMAND DIR [OPTIONS]\nTry 'ovenbird-run --help' for help.\n\nError: ");
    std::fprintf(stderr, "%s%s\n", usage.c_str(), message.c_str());
    return 2;
}

// Standard output that cannot be written is a failure: a full disk, a closed descriptor.
int end(int code) {
    bool written = std::fflush(stdout) == 0 && !std::ferror(stdout);
    if (!written && code == 0) {
        std::fprintf(stderr, "error: OutputNotWritten: standard output cannot be written\n");
        return 1;
    }
    return code;
}

int run(int count, char **words) {
    std::string name = count > 1 ? words[1] : "--help";
    Own own = find_own();
    if (name == "--help" || name == "-h" || name == "help") {
        std::fputs(usage_of(USAGE).c_str(), stdout);
        return count > 1 ? 0 : 2;
    }
    if (name == "--version") {
        std::printf("ovenbird-run, version %s\n", OVENBIRD_VERSION);
        return 0;
    }
    for (const Command &command : COMMANDS) {
        if (name != command.name) continue;
        for (int i = 2; i < count; ++i) {
            if (std::strcmp(words[i], "--help") == 0 || std::strcmp(words[i], "-h") == 0) {
                std::fputs(usage_of(USAGE).c_str(), stdout);
                return 0;
            }
        }
        std::vector<char *> given(words + 2, words + count);
        bool targeted = std::any_of(given.begin(), given.end(), [](const char *word) {
            return std::strncmp(word, "--target", 8) == 0;
        });
        if (!own.path.empty()) { // this file is DIR
            given.insert(given.begin(), own.path.data());
            if (!own.target.empty() && !targeted && name != "inspect") {
                static char option[] = "--target";
                given.insert(given.begin() + 1, {option, own.target.data()});
            }
        }
        return command.work(static_cast<int>(given.size()), given.data());
    }
    return fail_usage(ob::str("No such command ", ob::quoted(name), "; known are run, inspect, selftest, bench"));
}

} // namespace

int main(int count, char **words) {
    try {
        return end(run(count, words));
    } catch (const ob::UsageError &error) {
        return fail_usage(ob::one_line(error.message));
    } catch (const ob::Error &error) {
        ob::print_error(error);
    } catch (const std::bad_alloc &) {
        std::fprintf(stderr, "error: OutOfMemory: there is no memory\n");
    } catch (const std::exception &error) {
        std::fprintf(stderr, "error: internal: %s (a bug)\n", ob::one_line(error.what()).c_str());
    }
    return 1;
}
