// ovenbird-run: run, inspect, selftest and bench, with the options and the JSON of `ovenbird-rt`.
//
// Exit codes: 0 good, 1 the work failed (one line says why), 2 wrong usage.
#include <cstdio>
#include <cstring>
#include <new>

#include "base/errors.h"
#include "base/text.h"
#include "commands.h"

namespace {

const char USAGE[] = "Usage: ovenbird-run COMMAND DIR [OPTIONS]\n"
                     "\n"
                     "  Run models that Ovenbird compiled, without Python and without TVM.\n"
                     "\n"
                     "Commands:\n"
                     "  run DIR IMAGE...               run the network on images, JPEG or PNG\n"
                     "  run DIR -i IN.npz -o OUT.npz   or on named tensors\n"
                     "  inspect DIR                    show what DIR holds and what of it runs here\n"
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
                     "bench: -b, --batch SIZES  --seconds S  --iterations N  --warmup N\n";

struct Command {
    const char *name;
    void (*work)(int, char **);
};

const Command COMMANDS[] = {
    {"run", ob::command_run},
    {"inspect", ob::command_inspect},
    {"selftest", ob::command_selftest},
    {"bench", ob::command_bench},
};

int fail_usage(const std::string &message) {
    std::fprintf(stderr,
                 "Usage: ovenbird-run COMMAND DIR [OPTIONS]\nTry 'ovenbird-run --help' for help.\n\nError: %s\n",
                 message.c_str());
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
    if (name == "--help" || name == "-h" || name == "help") {
        std::fputs(USAGE, stdout);
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
                std::fputs(USAGE, stdout);
                return 0;
            }
        }
        command.work(count - 2, words + 2);
        return 0;
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
        std::fprintf(stderr, "error: %s: %s\n", ob::status_name(error.status), error.message.c_str());
    } catch (const std::bad_alloc &) {
        std::fprintf(stderr, "error: OutOfMemory: there is no memory\n");
    } catch (const std::exception &error) {
        std::fprintf(stderr, "error: internal: %s (a bug)\n", ob::one_line(error.what()).c_str());
    }
    return 1;
}
