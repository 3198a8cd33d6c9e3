// ovenbird-run run DIR -i IN.npz -o OUT.npz
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "artifact/files.h"
#include "base/errors.h"
#include "base/limits.h"
#include "base/text.h"
#include "commands.h"
#include "tensors/npz.h"

namespace ob {

namespace {

std::string name_of(const std::string &path) { return shown(path.substr(path.rfind('/') + 1)); }

std::vector<NamedTensor> read_tensors(const std::string &path) {
    std::string name = name_of(path);
    File file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.descriptor() < 0) {
        fail(OVENBIRD_INPUT_UNREADABLE, str(name, " cannot be read as .npz: ", reason(errno)));
    }
    std::string data;
    try {
        data = file.read_up_to(MAX_TENSORS_FILE_BYTES, name);
    } catch (const Error &error) {
        fail(OVENBIRD_INPUT_UNREADABLE, error.message);
    }
    if (data.compare(0, 6, "\x93NUMPY") == 0) {
        fail(OVENBIRD_INPUT_UNREADABLE, name + " is a single array: save with np.savez(file, name=array)");
    }
    return read_npz(data, name, MAX_TENSORS_FILE_BYTES, OVENBIRD_INPUT_UNREADABLE);
}

// Elsewhere, then renamed: a full disk leaves no half of a file. What is no plain file is written to as it is.
void write_file(const std::string &path, const std::string &data) {
    struct stat state;
    bool as_it_is = lstat(path.c_str(), &state) == 0 && !S_ISREG(state.st_mode);
    size_t name = path.rfind('/') + 1;
    std::string partial = as_it_is ? path : str(path.substr(0, name), ".", path.substr(name), ".", getpid(), ".part");
    FILE *file = std::fopen(partial.c_str(), "wbe");
    bool good = file && std::fwrite(data.data(), 1, data.size(), file) == data.size();
    int error = errno;
    if (file && std::fclose(file) != 0) {
        good = false;
        error = errno;
    }
    if (good && !as_it_is && std::rename(partial.c_str(), path.c_str()) != 0) {
        good = false;
        error = errno;
    }
    if (good) return;
    if (!as_it_is) unlink(partial.c_str());
    fail(OVENBIRD_OUTPUT_NOT_WRITTEN, str(name_of(path), " cannot be written: ", reason(error)));
}

} // namespace

void command_run(int count, char **words) {
    std::vector<Options::Known> known = LOADING;
    known.insert(known.end(), {{"--inputs", true}, {"--outputs", true}});
    Options options(known, {{"-i", "--inputs"}, {"-o", "--outputs"}});
    options.parse(count, words);
    const std::string &directory = only_directory(options);
    if (!options.given("--inputs") || !options.given("--outputs")) throw UsageError{"give both --inputs and --outputs"};
    std::unique_ptr<Session> session = load_session(options, directory);
    const Manifest &manifest = session->model().artifact.manifest;
    if (manifest.random_weights) std::fprintf(stderr, "%s\n", weights_line(manifest).c_str());
    std::vector<NamedTensor> tensors = read_tensors(*options.text("--inputs"));
    std::vector<ovenbird_tensor> inputs;
    for (const NamedTensor &tensor : tensors) inputs.push_back(tensor.view());
    std::vector<NamedTensor> results;
    for (const OutputTensor &output : session->run("", inputs.data(), inputs.size(), false)) {
        std::string data(reinterpret_cast<const char *>(output.data.data()), output.data.bytes());
        results.push_back({output.spec->name, output.spec->dtype, output.shape, std::move(data)});
    }
    write_file(*options.text("--outputs"), npz_bytes(std::move(results)));
}

} // namespace ob
