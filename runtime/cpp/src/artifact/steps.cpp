#include "artifact/steps.h"

#include <algorithm>
#include <cmath>

#include "base/limits.h"
#include "base/text.h"

namespace ob {

namespace {

void read_size(const Value &value, const char *name, Size &size) {
    value.shape(name, size, 1, MAX_SIDE_PIXELS, 2, 2);
}

void read_values(const Value &value, std::vector<double> &into) {
    if (!value) return;
    into.resize(check_list(value, 1, 3));
    for (size_t i = 0; i < into.size(); ++i) into[i] = read_real(value.item(i), -1e6, 1e6);
}

void read_filter(const Value &value, Filter &filter) {
    value.choice("interpolation", filter, "nearest bilinear bicubic lanczos opencv-linear");
}

void read_resize(Step &step, const Value &value) {
    check_fields(value, "step? shorter? fit? exact? interpolation? enlarge? rounding?");
    if (Value side = value.given("shorter")) step.shorter = read_whole(side, 1, MAX_SIDE_PIXELS);
    if (value.given("fit")) read_size(value, "fit", step.fit);
    if (value.given("exact")) read_size(value, "exact", step.exact);
    read_filter(value, step.interpolation);
    value.flag("enlarge", step.enlarge);
    value.choice("rounding", step.round_down, "nearest down");
}

void read_zoom(Step &step, const Value &value) {
    check_fields(value, "step? factor? interpolation?");
    value.real("factor", step.factor, 1 / MAX_ZOOM_FACTOR, MAX_ZOOM_FACTOR);
    read_filter(value, step.interpolation);
}

void read_crop(Step &step, const Value &value) {
    check_fields(value, "step? size?");
    if (step.kind == StepKind::RandomCrop) step.size = {100, 100};
    read_size(value, "size", step.size);
}

bool is_level(const Json &value) {
    return value.kind == Json::Kind::Integer && !value.huge && value.integer >= 0 && value.integer <= 255;
}

void read_fill(Shape &levels, const Value &value) {
    bool three = value->kind == Json::Kind::List && value->items.size() == 3;
    if (three) three = std::all_of(value->items.begin(), value->items.end(), is_level);
    if (!three && !is_level(*value) && value->kind != Json::Kind::Null) {
        refuse(value, "another kind of value (see the JSON Schema)");
    }
    levels.clear();
    if (is_level(*value)) levels.push_back(value->integer);
    for (const Json &item : value->items) levels.push_back(item.integer);
}

void read_pad(Step &step, const Value &value) {
    check_fields(value, "step? size? value? place?");
    read_size(value, "size", step.size);
    if (Value fill = value.field("value")) read_fill(step.value, fill);
    value.choice("place", step.top_left, "centre top-left");
}

void read_normalise(Step &step, const Value &value) {
    check_fields(value, "step? mean? std? scale? order? layout?");
    read_values(value.field("mean"), step.mean);
    read_values(value.field("std"), step.std);
    if (Value scale = value.given("scale")) step.scale = read_real(scale, 1e-9, 1e6);
    value.choice("order", step.order, "rgb bgr grey");
    value.choice("layout", step.rows_of_pixels, "CHW HWC");
}

void read_step(Step &step, const Value &value) {
    static const StepKind kinds[] = {StepKind::CentreCrop, StepKind::Normalise, StepKind::Pad,
                                     StepKind::RandomCrop, StepKind::Resize,    StepKind::Zoom};
    step.kind = kinds[read_choice(value.field("step"), "centre-crop normalise pad random-crop resize zoom")];
    switch (step.kind) {
    case StepKind::Resize: read_resize(step, value); break;
    case StepKind::Zoom: read_zoom(step, value); break;
    case StepKind::CentreCrop:
    case StepKind::RandomCrop: read_crop(step, value); break;
    case StepKind::Pad: read_pad(step, value); break;
    case StepKind::Normalise: read_normalise(step, value); break;
    }
}

bool has_size(const Step &step) {
    return step.kind == StepKind::CentreCrop || step.kind == StepKind::RandomCrop || step.kind == StepKind::Pad;
}

} // namespace

const char *step_name(StepKind kind) {
    static const char *names[] = {"resize", "zoom", "centre-crop", "random-crop", "pad", "normalise"};
    return names[static_cast<int>(kind)];
}

Pipeline read_pipeline(const Value &value) { return read_items<Step>(value, 1, MAX_STEPS, read_step); }

std::string problem(const Pipeline &pipeline) {
    const Step &last = pipeline.back();
    bool grey = last.kind == StepKind::Normalise && last.order == Order::Grey;
    for (size_t place = 0; place < pipeline.size(); ++place) {
        const Step &step = pipeline[place];
        for (const Size &size : {has_size(step) ? step.size : Size{}, step.fit, step.exact}) {
            double pixels = size.empty() ? 0.0 : static_cast<double>(size[0] * size[1]) / 1e6;
            if (pixels > MAX_IMAGE_MEGAPIXELS) {
                return str(step_name(step.kind), " makes ", format("%.1f", pixels), " MP, limit ",
                           format("%.1f", MAX_IMAGE_MEGAPIXELS), " MP");
            }
        }
        if (step.kind == StepKind::Resize) {
            if (step.shorter.has_value() + !step.fit.empty() + !step.exact.empty() != 1) {
                return "resize needs exactly one of shorter, fit and exact";
            }
            if (step.fit.empty() && (!step.enlarge || step.round_down)) {
                return "resize has enlarge and rounding for fit only";
            }
        }
        if (step.kind == StepKind::Pad && step.value.size() == 3 && grey) {
            return "pad has three values, the images are grey";
        }
        if (step.kind == StepKind::Pad && step.value.empty() && place + 1 < pipeline.size() &&
            pipeline[place + 1].kind != StepKind::Normalise) {
            return str("pad without a value is followed by ", step_name(pipeline[place + 1].kind),
                       ": only normalise may follow");
        }
        if (step.kind != StepKind::Normalise) continue;
        if (place + 1 != pipeline.size()) return "normalise must be the last step";
        if (step.mean.size() == 2 || step.std.size() == 2) {
            return "normalise takes one value, or one for each of red, green and blue";
        }
        if (step.order == Order::Grey && (step.mean.size() != 1 || step.std.size() != 1)) {
            return "normalise takes one mean and one std where pictures are grey";
        }
        for (double one : step.std) {
            if (std::fabs(one) < 1e-30) return "normalise has a std of 0, and divides by it";
        }
    }
    return "";
}

Size output_size(const Pipeline &pipeline) {
    Size found;
    for (const Step &step : pipeline) {
        if (has_size(step)) {
            found = step.size;
        } else if (step.kind == StepKind::Resize || step.kind == StepKind::Zoom) {
            found = step.exact;
        }
    }
    return found;
}

std::string size_text(const Size &size) {
    return size.size() == 2 ? str(size[0], "x", size[1]) : size.size() == 1 ? str(size[0]) : "";
}

std::string sizes_text(const std::vector<Size> &sizes) {
    std::vector<std::string> texts;
    for (size_t i = 0; i < sizes.size() && i < 12; ++i) texts.push_back(size_text(sizes[i]));
    std::string text = join(texts);
    return sizes.size() <= 12 ? text : str(text, " and ", sizes.size() - 12, " more");
}

} // namespace ob
