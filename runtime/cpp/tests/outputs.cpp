// ovenbird-outputs DIR TARGET IN.npz BATCH:THREADS...: runs BATCH rows of the file after the other, and prints the
// sha256 of each output of each call, a line each (ci/equality):
//
//     8:1 0 logits 5f3c...          the first eight rows, with one thread
#include <cstdio>
#include <exception>
#include <fcntl.h>
#include <string>
#include <vector>

#include "artifact/files.h"
#include "base/errors.h"
#include "base/limits.h"
#include "base/sha256.h"
#include "base/text.h"
#include "ovenbird.hpp"
#include "tensors/npz.h"

namespace {

std::vector<ob::NamedTensor> read(const char *path) {
    ob::File file(open(path, O_RDONLY | O_CLOEXEC));
    return ob::read_npz(file.read_up_to(ob::MAX_TENSORS_FILE_BYTES, path), path, ob::MAX_TENSORS_FILE_BYTES,
                        OVENBIRD_INPUT_UNREADABLE);
}

// Some rows of a tensor, where they lie.
ovenbird_tensor rows_of(const ob::NamedTensor &tensor, int64_t first, int64_t count) {
    ovenbird_tensor view = tensor.view();
    size_t row = view.bytes / static_cast<size_t>(view.shape[0]);
    view.data = tensor.data.data() + static_cast<size_t>(first) * row;
    view.bytes = static_cast<size_t>(count) * row;
    view.shape[0] = count;
    return view;
}

void print_outputs(const ovenbird::Artifact &artifact, const std::vector<ob::NamedTensor> &tensors, const char *how) {
    std::vector<std::string> parts = ob::split(how, ":");
    int64_t batch = std::stoll(parts.at(0));
    ovenbird::Session session(artifact, std::stoi(parts.at(1)));
    for (int64_t first = 0; first + batch <= tensors.at(0).shape[0]; first += batch) {
        std::vector<ovenbird_tensor> inputs;
        for (const ob::NamedTensor &tensor : tensors) inputs.push_back(rows_of(tensor, first, batch));
        ovenbird::Result result = session.run(inputs);
        for (size_t i = 0; i < result.size(); ++i) {
            std::string digest = ob::sha256_hex(result[i].data, result[i].bytes);
            std::printf("%s %lld %s %s\n", how, static_cast<long long>(first), result[i].name, digest.c_str());
        }
    }
}

} // namespace

int main(int count, char **words) {
    if (count < 5) return 2;
    try {
        ovenbird_open_options options = OVENBIRD_OPEN_OPTIONS;
        options.target = words[2];
        ovenbird::Artifact artifact(words[1], options);
        std::vector<ob::NamedTensor> tensors = read(words[3]);
        for (int i = 4; i < count; ++i) print_outputs(artifact, tensors, words[i]);
    } catch (const ob::Error &error) {
        std::fprintf(stderr, "error: %s\n", error.message.c_str());
        return 1;
    } catch (const std::exception &error) {
        std::fprintf(stderr, "error: %s\n", error.what());
        return 1;
    }
    return 0;
}
