/* embedded: a model within the program, on zeros. `ovenbird bake ... --format c -o model` writes model.o, model.h. */
#include <stdio.h>
#include <string.h>

#include "model.h"

static int fail(const char *what) {
    fprintf(stderr, "error: %s: %s\n", what, ovenbird_last_message());
    return 1;
}

/* Zeros for an input, for a batch of 1; NULL where there is no memory. */
static void *zeros(const ovenbird_spec *spec, ovenbird_tensor *tensor) {
    void *memory;
    int i;
    memset(tensor, 0, sizeof *tensor);
    tensor->name = spec->name;
    tensor->dtype = OVENBIRD_FLOAT32;
    tensor->rank = spec->rank;
    tensor->bytes = sizeof(float);
    for (i = 0; i < spec->rank; ++i) {
        tensor->shape[i] = spec->shape[i] < 0 ? 1 : spec->shape[i];
        tensor->bytes *= (size_t)tensor->shape[i];
    }
    tensor->data = memory = ovenbird_alloc(tensor->bytes);
    if (memory) memset(memory, 0, tensor->bytes);
    return memory;
}

int main(void) {
    ovenbird_artifact *artifact = NULL;
    ovenbird_session *session = NULL;
    ovenbird_result *result = NULL;
    ovenbird_tensor inputs[8], output;
    size_t count = 0, i;
    if (model_open(NULL, &artifact) != OVENBIRD_OK) return fail("open");
    if (ovenbird_session_open(artifact, 1, &session) != OVENBIRD_OK) return fail("session");
    if (ovenbird_input_count(artifact, NULL, &count) != OVENBIRD_OK || count > 8) return fail("inputs");
    for (i = 0; i < count; ++i) {
        ovenbird_spec spec;
        if (ovenbird_input(artifact, NULL, i, &spec) != OVENBIRD_OK || !zeros(&spec, &inputs[i])) return fail("input");
    }
    if (ovenbird_run(session, NULL, inputs, count, 0, &result) != OVENBIRD_OK) return fail("run");
    for (i = 0; i < ovenbird_result_count(result); ++i) {
        if (ovenbird_result_tensor(result, i, &output) != OVENBIRD_OK) return fail("output");
        printf("%s: %g\n", output.name, (double)*(const float *)output.data);
    }
    for (i = 0; i < count; ++i) ovenbird_free((void *)inputs[i].data);
    ovenbird_result_free(result);
    ovenbird_session_free(session);
    ovenbird_artifact_free(artifact);
    return 0;
}
