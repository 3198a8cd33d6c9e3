/* Ovenbird's runtime in C: open an artifact, run its programs. No Python, no TVM, no dlopen.
 *
 *     ovenbird_artifact *artifact;
 *     ovenbird_session *session;
 *     ovenbird_result *result;
 *     if (ovenbird_open("artifacts/resnet50", NULL, &artifact) != OVENBIRD_OK) puts(ovenbird_last_message());
 *     ovenbird_session_open(artifact, 0, &session);
 *     ovenbird_run(session, NULL, &image, 1, 0, &result);      // image: an ovenbird_tensor
 *     ovenbird_result_tensor(result, 0, &logits);
 *     ovenbird_result_free(result);
 *     ovenbird_predict(session, &photo, 1, NULL, &predictions);    // photo: an ovenbird_image, JPEG or PNG
 *     ovenbird_session_free(session);
 *     ovenbird_artifact_free(artifact);
 *
 * Every function that can fail returns a status; ovenbird_last_message() says why in one line, to the thread that
 * called. Nothing is thrown, nothing is printed. What is handed out is freed by the function of its kind; NULL may be
 * freed. A session keeps its artifact alive: the two may be freed in any order.
 */
#ifndef OVENBIRD_H
#define OVENBIRD_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(OVENBIRD_STATIC)
#define OVENBIRD_API
#else
#define OVENBIRD_API __attribute__((visibility("default")))
#endif

#define OVENBIRD_ABI_VERSION 1u /* raised when a struct or a function changes; new functions do not change it */
#define OVENBIRD_MAX_RANK 8

/* The kinds of error, named as the Python runtime's are (docs/reference/errors.md). Numbers are never used again. */
typedef enum ovenbird_status {
    OVENBIRD_OK = 0,
    OVENBIRD_ARTIFACT_NOT_FOUND = 10,
    OVENBIRD_MANIFEST_INVALID = 11,
    OVENBIRD_PLAN_INVALID = 12,
    OVENBIRD_MANIFEST_TOO_NEW = 13,
    OVENBIRD_FILE_MISSING = 14,
    OVENBIRD_FILE_CHANGED = 15,
    OVENBIRD_UNSAFE_PATH = 16,
    OVENBIRD_SIGNATURE_MISSING = 17,
    OVENBIRD_SIGNATURE_FOREIGN = 18,
    OVENBIRD_SIGNATURE_WRONG = 19,
    OVENBIRD_LABELS_MISMATCH = 20,
    OVENBIRD_PLAN_MISSING = 21, /* the code has no plan: only TVM's virtual machine runs it */
    OVENBIRD_NO_VARIANT = 30,
    OVENBIRD_WRONG_ARCHITECTURE = 31,
    OVENBIRD_MISSING_CPU_FEATURES = 32,
    OVENBIRD_VERSION_MISMATCH = 33,
    OVENBIRD_DEVICE_UNAVAILABLE = 34,
    OVENBIRD_WRONG_INPUT_NAMES = 40,
    OVENBIRD_WRONG_SHAPE = 41,
    OVENBIRD_WRONG_DTYPE = 42,
    OVENBIRD_NOT_FINITE = 43,
    OVENBIRD_WRONG_OPTION = 44,
    OVENBIRD_UNKNOWN_PROGRAM = 45,
    OVENBIRD_KEY_UNREADABLE = 46,
    OVENBIRD_WRONG_KEY_TYPE = 47,
    OVENBIRD_INPUT_UNREADABLE = 48,
    OVENBIRD_OUTPUT_NOT_WRITTEN = 49,
    OVENBIRD_PIPELINE_ERROR = 50,
    OVENBIRD_IMAGE_NOT_FOUND = 51,
    OVENBIRD_IMAGE_UNREADABLE = 52,
    OVENBIRD_IMAGE_TOO_LARGE = 53,
    OVENBIRD_ENGINE_LOAD_FAILED = 60,
    OVENBIRD_ENGINE_CALL_FAILED = 61,
    OVENBIRD_SELFTEST_FAILED = 62,
    OVENBIRD_OUT_OF_MEMORY = 70,
    OVENBIRD_INTERNAL = 71 /* a bug of this library */
} ovenbird_status;

typedef enum ovenbird_dtype {
    OVENBIRD_FLOAT32 = 0,
    OVENBIRD_FLOAT16 = 1,
    OVENBIRD_FLOAT64 = 2,
    OVENBIRD_INT8 = 3,
    OVENBIRD_INT16 = 4,
    OVENBIRD_INT32 = 5,
    OVENBIRD_INT64 = 6,
    OVENBIRD_UINT8 = 7,
    OVENBIRD_UINT16 = 8,
    OVENBIRD_UINT32 = 9,
    OVENBIRD_UINT64 = 10,
    OVENBIRD_BOOL = 11
} ovenbird_dtype;

/* A tensor in memory, contiguous, the last dimension innermost. Data at a multiple of 64 bytes is read in place by
 * ovenbird_run where its dtype is the network's; any other is copied first. */
typedef struct ovenbird_tensor {
    const char *name;
    ovenbird_dtype dtype;
    int32_t rank;
    int64_t shape[OVENBIRD_MAX_RANK];
    const void *data;
    size_t bytes;
} ovenbird_tensor;

/* An input or output as the manifest describes it. A dimension below 0 is open: -1 any batch, -2 the images' height,
 * -3 their width, -4 what follows from those. */
typedef struct ovenbird_spec {
    const char *name;
    ovenbird_dtype dtype;
    int32_t rank;
    int64_t shape[OVENBIRD_MAX_RANK];
    const char *layout;
} ovenbird_spec;

/* A file of weights that the caller has in memory, by its name in the manifest ("weights/5f0c.bin"). It is checked as
 * the file would be and read where it lies, at a multiple of 64 bytes. From ovenbird_open on until the artifact and
 * all its sessions are freed its bytes must not change, nor go. */
typedef struct ovenbird_memory {
    const char *name;
    const void *data;
    size_t bytes;
} ovenbird_memory;

/* What may be asked of ovenbird_open; begin with OVENBIRD_OPEN_OPTIONS, NULL is the default of each. */
typedef struct ovenbird_open_options {
    size_t struct_bytes; /* sizeof(ovenbird_open_options) where the caller was compiled */
    const char
        *public_key;       /* a PEM file of Ed25519 keys, of which one must have signed ($OVENBIRD_REQUIRE_SIGNATURE) */
    const char *target;    /* the variant to use instead of the best one that runs here */
    const char *precision; /* "f32", "f16", "bf16" or "int8" */
    const ovenbird_memory *weights; /* files that are not to be read; of those that it does not use none is looked at */
    size_t weight_count;
} ovenbird_open_options;
#define OVENBIRD_OPEN_OPTIONS {sizeof(ovenbird_open_options), NULL, NULL, NULL, NULL, 0}

/* A batch size that a program was compiled for: those calls are cheapest, any other batch is made of them. */
typedef struct ovenbird_entry {
    const char *program;
    int64_t batch;
    int64_t height, width; /* of the images; 0 where the program has but one size */
} ovenbird_entry;

typedef struct ovenbird_artifact ovenbird_artifact;
typedef struct ovenbird_session ovenbird_session;
typedef struct ovenbird_result ovenbird_result;

#define OVENBIRD_ALLOW_NAN 1u /* a flag of ovenbird_run: feed NaN and infinity to the network */

/* The library's version, as text, and the ABI that it was compiled with (OVENBIRD_ABI_VERSION). */
OVENBIRD_API const char *ovenbird_version(void);
OVENBIRD_API uint32_t ovenbird_abi_version(void);
/* Why the last call of this thread failed, one printable line; valid until its next call. */
OVENBIRD_API const char *ovenbird_last_message(void);
/* The name of a status, as "ManifestInvalid". */
OVENBIRD_API const char *ovenbird_status_name(ovenbird_status status);

/* Open the artifact in a folder: everything is checked before its code is loaded. */
OVENBIRD_API ovenbird_status ovenbird_open(const char *path, const ovenbird_open_options *options,
                                           ovenbird_artifact **artifact);
/* Open the artifact that `ovenbird bake --format c` embedded in this program: copied, and checked as a folder is. */
OVENBIRD_API ovenbird_status ovenbird_open_embedded(const void *data, size_t bytes,
                                                    const ovenbird_open_options *options,
                                                    ovenbird_artifact **artifact);
OVENBIRD_API void ovenbird_artifact_free(ovenbird_artifact *artifact);

/* What it is. Texts live as long as the artifact. */
OVENBIRD_API const char *ovenbird_model_name(const ovenbird_artifact *artifact);
OVENBIRD_API const char *ovenbird_target_name(const ovenbird_artifact *artifact);
OVENBIRD_API int ovenbird_has_random_weights(const ovenbird_artifact *artifact);
/* The sha256 of manifest.json's bytes, which holds the digests of all other files: 64 hexadecimal characters. */
OVENBIRD_API const char *ovenbird_manifest_sha256(const ovenbird_artifact *artifact);
/* What it was compiled for: how many, and each. */
OVENBIRD_API size_t ovenbird_entry_count(const ovenbird_artifact *artifact);
OVENBIRD_API ovenbird_status ovenbird_entry_at(const ovenbird_artifact *artifact, size_t index, ovenbird_entry *entry);
OVENBIRD_API size_t ovenbird_program_count(const ovenbird_artifact *artifact);
OVENBIRD_API const char *ovenbird_program_name(const ovenbird_artifact *artifact, size_t index);
/* Of a program (NULL: the only one): how many inputs or outputs, and each of them. */
OVENBIRD_API ovenbird_status ovenbird_input_count(const ovenbird_artifact *artifact, const char *program,
                                                  size_t *count);
OVENBIRD_API ovenbird_status ovenbird_output_count(const ovenbird_artifact *artifact, const char *program,
                                                   size_t *count);
OVENBIRD_API ovenbird_status ovenbird_input(const ovenbird_artifact *artifact, const char *program, size_t index,
                                            ovenbird_spec *spec);
OVENBIRD_API ovenbird_status ovenbird_output(const ovenbird_artifact *artifact, const char *program, size_t index,
                                             ovenbird_spec *spec);
/* The labels of an output: how many (0 where it has none), and each. */
OVENBIRD_API size_t ovenbird_label_count(const ovenbird_artifact *artifact, const char *program, const char *output);
OVENBIRD_API const char *ovenbird_label(const ovenbird_artifact *artifact, const char *program, const char *output,
                                        size_t index);

/* Open a session: memory for one call at a time, and threads - 1 helpers (0: the CPUs that are really ours). It may be
 * used from many threads, whose calls follow one another; several sessions run side by side. */
OVENBIRD_API ovenbird_status ovenbird_session_open(ovenbird_artifact *artifact, int32_t threads,
                                                   ovenbird_session **session);
OVENBIRD_API void ovenbird_session_free(ovenbird_session *session);
OVENBIRD_API int32_t ovenbird_session_threads(const ovenbird_session *session);

/* Run a program (NULL: the only one) on named tensors of one batch size N >= 1. `result` holds the outputs, memory of
 * its own. */
OVENBIRD_API ovenbird_status ovenbird_run(ovenbird_session *session, const char *program, const ovenbird_tensor *inputs,
                                          size_t input_count, uint32_t flags, ovenbird_result **result);
OVENBIRD_API size_t ovenbird_result_count(const ovenbird_result *result);
OVENBIRD_API ovenbird_status ovenbird_result_tensor(const ovenbird_result *result, size_t index,
                                                    ovenbird_tensor *tensor);
OVENBIRD_API void ovenbird_result_free(ovenbird_result *result);

/* An image file, JPEG or PNG: its path, or its bytes where the path is NULL. */
typedef struct ovenbird_image {
    const char *path;
    const void *data;
    size_t bytes;
} ovenbird_image;

/* What may be asked of ovenbird_predict; begin with OVENBIRD_PREDICT_OPTIONS. */
typedef struct ovenbird_predict_options {
    size_t struct_bytes;        /* sizeof(ovenbird_predict_options) where the caller was compiled */
    const char *preprocess;     /* a pipeline of the artifact; NULL: its default */
    int32_t top;                /* classes to give */
    int32_t embedding;          /* 1: JSON holds the embedding's elements, too */
    int64_t seed;               /* of random pre-processing; -1: a fresh one */
    double score;               /* boxes with a score above; -1: the model's own, as of all below */
    double iou;                 /* overlap above which the lower of two boxes goes */
    int32_t max_boxes;          /* boxes an image; 0: the model's own */
    int32_t agnostic;           /* whether boxes of different classes suppress each other */
    const char *const *classes; /* only boxes of these labels or indices; NULL: all */
    size_t class_count;
    int32_t image_height; /* one of the sizes that it was compiled for; 0: the usual one */
    int32_t image_width;
    double max_megapixels; /* the largest image */
    const char *prompt;    /* of a model that writes text, UTF-8: what it goes on from; NULL: nothing */
    int32_t max_tokens;    /* that follow; 0: the model's own, as of beams */
    int32_t beams;         /* sequences that are searched through, 1: greedily */
} ovenbird_predict_options;
#define OVENBIRD_PREDICT_OPTIONS                                                                                       \
    {sizeof(ovenbird_predict_options), NULL, 2, 0, -1, -1.0, -1.0, 0, -1, NULL, 0, 0, 0, 50.0, NULL, 0, 0}

typedef struct ovenbird_class {
    int64_t index;
    const char *label; /* "class 7" where there are none */
    double confidence; /* 0 to 1 */
} ovenbird_class;

typedef struct ovenbird_box {
    int64_t index; /* of the class */
    const char *label;
    double score;
    double left, top, right, bottom; /* pixels of the image, as it is seen upright */
} ovenbird_box;

typedef struct ovenbird_embedding {
    double mean, variance;
    ovenbird_tensor vector;
} ovenbird_embedding;

typedef struct ovenbird_text {
    const char *text;      /* UTF-8 */
    const int64_t *tokens; /* those of begin and end among them; none of a line that was read (CTC) */
    size_t token_count;
    int32_t ended;     /* 1: by one of its own tokens, 0: by its length */
    double confidence; /* 0 to 1, of a line that was read; -1 of another */
} ovenbird_text;

typedef struct ovenbird_predictions ovenbird_predictions;

/* Images to answers: decoded, pre-processed, run, one prediction each, in order. Options may be NULL. */
OVENBIRD_API ovenbird_status ovenbird_predict(ovenbird_session *session, const ovenbird_image *images, size_t count,
                                              const ovenbird_predict_options *options,
                                              ovenbird_predictions **predictions);
OVENBIRD_API void ovenbird_predictions_free(ovenbird_predictions *predictions);
OVENBIRD_API size_t ovenbird_predictions_count(const ovenbird_predictions *predictions);
/* All of a prediction as JSON, as the Python runtime writes it; lives as long as the predictions. */
OVENBIRD_API ovenbird_status ovenbird_predictions_json(ovenbird_predictions *predictions, size_t image,
                                                       const char **json);
/* The answers of an output (NULL: the first of that kind): how many, and each, the best first. */
OVENBIRD_API size_t ovenbird_class_count(const ovenbird_predictions *predictions, size_t image, const char *output);
OVENBIRD_API ovenbird_status ovenbird_class_at(const ovenbird_predictions *predictions, size_t image,
                                               const char *output, size_t place, ovenbird_class *found);
OVENBIRD_API size_t ovenbird_box_count(const ovenbird_predictions *predictions, size_t image, const char *output);
OVENBIRD_API ovenbird_status ovenbird_box_at(const ovenbird_predictions *predictions, size_t image, const char *output,
                                             size_t place, ovenbird_box *found);
OVENBIRD_API ovenbird_status ovenbird_embedding_of(const ovenbird_predictions *predictions, size_t image,
                                                   const char *output, ovenbird_embedding *found);
OVENBIRD_API ovenbird_status ovenbird_text_of(const ovenbird_predictions *predictions, size_t image, const char *output,
                                              ovenbird_text *found);

/* What a pipeline makes of an image: one tensor, the program's input for a batch of 1. */
OVENBIRD_API ovenbird_status ovenbird_preprocess(const ovenbird_artifact *artifact, const ovenbird_image *image,
                                                 const ovenbird_predict_options *options, ovenbird_result **result);

/* Memory at a multiple of 64 bytes, which ovenbird_run reads in place. */
OVENBIRD_API void *ovenbird_alloc(size_t bytes);
OVENBIRD_API void ovenbird_free(void *memory);

#ifdef __cplusplus
}
#endif
#endif
