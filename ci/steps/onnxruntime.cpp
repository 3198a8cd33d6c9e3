// A network by ONNX Runtime's C interface, for ci/steps/native_table.py. Its wheel has the library and no headers, so
// that what is called is found by its place in the table of functions, which the interface promises to keep.
//
//     onnxruntime LIBRARY NET.onnx THREADS BATCH photo.jpg 0       from nothing to the first answer
//     onnxruntime LIBRARY NET.onnx THREADS BATCH "" SECONDS        prints the median of calls in ms
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <vector>

#include <jpeglib.h>

namespace {

struct Base {
    void *const *(*table)(uint32_t version);
    const char *(*version)();
};

enum Place {
    ERROR_MESSAGE = 2,
    CREATE_ENV = 3,
    CREATE_SESSION = 7,
    RUN = 9,
    CREATE_OPTIONS = 10,
    SET_THREADS = 24,
    OUTPUT_COUNT = 31,
    INPUT_TYPE = 33,
    INPUT_NAME = 36,
    OUTPUT_NAME = 37,
    CREATE_TENSOR = 49,
    TENSOR_OF_TYPE = 55,
    RANK = 61,
    DIMENSIONS = 62,
    CPU_MEMORY = 69,
    ALLOCATOR = 78,
    RELEASE_VALUE = 96
};

void *const *table;

[[noreturn]] void fail(const char *message) {
    std::fprintf(stderr, "error: %s\n", message);
    std::exit(1);
}

template <typename... Arguments> void call(Place place, Arguments... arguments) {
    void *status = reinterpret_cast<void *(*)(Arguments...)>(table[place])(arguments...);
    if (status) fail(reinterpret_cast<const char *(*)(void *)>(table[ERROR_MESSAGE])(status));
}

// A photograph's pixels at another size, each the nearest, as [3, height, width] of 0 to 1.
void read_photograph(const char *path, size_t height, size_t width, float *into) {
    FILE *file = std::fopen(path, "rb");
    if (!file) fail("the photograph cannot be read");
    jpeg_decompress_struct jpeg;
    jpeg_error_mgr errors;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_decompress(&jpeg);
    jpeg_stdio_src(&jpeg, file);
    jpeg_read_header(&jpeg, TRUE);
    jpeg.out_color_space = JCS_RGB;
    jpeg_start_decompress(&jpeg);
    size_t across = jpeg.output_width, down = jpeg.output_height;
    std::vector<unsigned char> pixels(across * down * 3);
    while (jpeg.output_scanline < down) {
        unsigned char *row = pixels.data() + size_t{jpeg.output_scanline} * across * 3;
        jpeg_read_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_decompress(&jpeg);
    jpeg_destroy_decompress(&jpeg);
    std::fclose(file);
    for (size_t y = 0; y < height; ++y) {
        for (size_t x = 0; x < width; ++x) {
            const unsigned char *pixel = pixels.data() + (y * down / height * across + x * across / width) * 3;
            for (size_t c = 0; c < 3; ++c) into[(c * height + y) * width + x] = static_cast<float>(pixel[c]) / 255;
        }
    }
}

} // namespace

int main(int count, char **words) {
    if (count != 7) return 2;
    void *library = dlopen(words[1], RTLD_NOW);
    if (!library) fail(dlerror());
    auto base = reinterpret_cast<const Base *(*)()>(dlsym(library, "OrtGetApiBase"))();
    table = base->table(1);
    void *env, *options, *session, *memory, *allocator, *type, *tensor, *value;
    call(CREATE_ENV, 3, "ovenbird", &env);
    call(CREATE_OPTIONS, &options);
    call(SET_THREADS, options, std::atoi(words[3]));
    call(CREATE_SESSION, env, static_cast<const char *>(words[2]), options, &session);
    call(ALLOCATOR, &allocator);
    char *input;
    call(INPUT_NAME, session, size_t{0}, allocator, &input);
    size_t outputs = 0, rank = 0;
    call(OUTPUT_COUNT, session, &outputs);
    std::vector<char *> names(outputs);
    for (size_t i = 0; i < outputs; ++i) call(OUTPUT_NAME, session, i, allocator, &names[i]);
    call(INPUT_TYPE, session, size_t{0}, &type);
    call(TENSOR_OF_TYPE, type, &tensor);
    call(RANK, tensor, &rank);
    if (rank != 4) fail("its first input is no batch of images");
    int64_t shape[4], batch = std::atoll(words[4]);
    call(DIMENSIONS, tensor, static_cast<int64_t *>(shape), rank);
    if (shape[0] > 0 && shape[0] != batch) fail("it takes another batch size");
    shape[0] = batch;
    size_t height = static_cast<size_t>(shape[2]), width = static_cast<size_t>(shape[3]);
    std::vector<float> image(static_cast<size_t>(batch) * 3 * height * width);
    if (*words[5]) read_photograph(words[5], height, width, image.data());
    call(CPU_MEMORY, 1, 0, &memory); // of an arena, the default of its kind
    call(CREATE_TENSOR, memory, static_cast<void *>(image.data()), image.size() * sizeof(float),
         static_cast<const int64_t *>(shape), rank, 1, &value);
    std::vector<double> times;
    std::vector<void *> results(outputs);
    using Clock = std::chrono::steady_clock;
    auto milliseconds = [](Clock::duration time) { return std::chrono::duration<double, std::milli>(time).count(); };
    auto end = Clock::now() + std::chrono::duration<double>(std::atof(words[6]));
    do {
        auto start = Clock::now();
        std::fill(results.begin(), results.end(), nullptr);
        call(RUN, session, static_cast<void *>(nullptr), static_cast<char *const *>(&input), static_cast<void *const *>(&value), size_t{1},
             static_cast<char *const *>(names.data()), outputs, results.data());
        for (void *result : results) reinterpret_cast<void (*)(void *)>(table[RELEASE_VALUE])(result);
        times.push_back(milliseconds(Clock::now() - start));
    } while (Clock::now() < end);
    std::sort(times.begin(), times.end());
    std::printf("%.6f\n", times[times.size() / 2]);
    return 0;
}
