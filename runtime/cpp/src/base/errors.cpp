#include "base/errors.h"

#include <cstdarg>

namespace ob {

void fail_of(ovenbird_status status, const char *letters, ...) {
    va_list words;
    va_start(words, letters);
    Error error{status, one_line(str_of_list(letters, words))};
    va_end(words);
    throw error;
}

const char *status_name(ovenbird_status status) {
    switch (status) {
    case OVENBIRD_OK: return "Ok";
    case OVENBIRD_ARTIFACT_NOT_FOUND: return "ArtifactNotFound";
    case OVENBIRD_MANIFEST_INVALID: return "ManifestInvalid";
    case OVENBIRD_PLAN_INVALID: return "PlanInvalid";
    case OVENBIRD_MANIFEST_TOO_NEW: return "ManifestTooNew";
    case OVENBIRD_FILE_MISSING: return "FileMissing";
    case OVENBIRD_FILE_CHANGED: return "FileChanged";
    case OVENBIRD_UNSAFE_PATH: return "UnsafePath";
    case OVENBIRD_SIGNATURE_MISSING: return "SignatureMissing";
    case OVENBIRD_SIGNATURE_FOREIGN: return "SignatureForeign";
    case OVENBIRD_SIGNATURE_WRONG: return "SignatureWrong";
    case OVENBIRD_LABELS_MISMATCH: return "LabelsMismatch";
    case OVENBIRD_PLAN_MISSING: return "PlanMissing";
    case OVENBIRD_NO_VARIANT: return "NoVariant";
    case OVENBIRD_WRONG_ARCHITECTURE: return "WrongArchitecture";
    case OVENBIRD_MISSING_CPU_FEATURES: return "MissingCpuFeatures";
    case OVENBIRD_VERSION_MISMATCH: return "VersionMismatch";
    case OVENBIRD_DEVICE_UNAVAILABLE: return "DeviceUnavailable";
    case OVENBIRD_WRONG_INPUT_NAMES: return "WrongInputNames";
    case OVENBIRD_WRONG_SHAPE: return "WrongShape";
    case OVENBIRD_WRONG_DTYPE: return "WrongDtype";
    case OVENBIRD_NOT_FINITE: return "NotFinite";
    case OVENBIRD_WRONG_OPTION: return "WrongOption";
    case OVENBIRD_UNKNOWN_PROGRAM: return "UnknownProgram";
    case OVENBIRD_KEY_UNREADABLE: return "KeyUnreadable";
    case OVENBIRD_WRONG_KEY_TYPE: return "WrongKeyType";
    case OVENBIRD_INPUT_UNREADABLE: return "InputUnreadable";
    case OVENBIRD_OUTPUT_NOT_WRITTEN: return "OutputNotWritten";
    case OVENBIRD_PIPELINE_ERROR: return "PipelineError";
    case OVENBIRD_IMAGE_NOT_FOUND: return "ImageNotFound";
    case OVENBIRD_IMAGE_UNREADABLE: return "ImageUnreadable";
    case OVENBIRD_IMAGE_TOO_LARGE: return "ImageTooLarge";
    case OVENBIRD_ENGINE_LOAD_FAILED: return "EngineLoadFailed";
    case OVENBIRD_ENGINE_CALL_FAILED: return "EngineCallFailed";
    case OVENBIRD_SELFTEST_FAILED: return "SelftestFailed";
    case OVENBIRD_OUT_OF_MEMORY: return "OutOfMemory";
    case OVENBIRD_INTERNAL: return "Internal";
    }
    return "Unknown";
}

} // namespace ob
