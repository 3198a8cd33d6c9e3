#include "artifact/steps.h"

#include <cmath>

#include "base/limits.h"
#include "base/text.h"

namespace ob {

namespace {

Size read_size(const Json &value, const Where &where) { return read_wholes(value, where, 1, MAX_SIDE_PIXELS, 2, 2); }

std::vector<double> read_values(const Json &value, const Where &where) {
    std::vector<double> found;
    for (const Json &item : check_list(value, where, 1, 3).items) {
        found.push_back(read_real(item, where.item(found.size()), -1e6, 1e6));
    }
    return found;
}

Filter read_filter(const Json &value, const Where &where) {
    return static_cast<Filter>(
        read_choice(value, where, {"nearest", "bilinear", "bicubic", "lanczos", "opencv-linear"}));
}

void read_resize(Step &step, const Json &value, const Where &where) {
    check_fields(value, where, "step? shorter? fit? exact? interpolation? enlarge? rounding?");
    if (const Json *side = given(value, "shorter")) {
        step.shorter = read_whole(*side, where.field("shorter"), 1, MAX_SIDE_PIXELS);
    }
    if (const Json *size = given(value, "fit")) step.fit = read_size(*size, where.field("fit"));
    if (const Json *size = given(value, "exact")) step.exact = read_size(*size, where.field("exact"));
    if (const Json *name = value.find("interpolation")) {
        step.interpolation = read_filter(*name, where.field("interpolation"));
    }
    if (const Json *flag = value.find("enlarge")) step.enlarge = read_flag(*flag, where.field("enlarge"));
    if (const Json *name = value.find("rounding")) {
        step.round_down = read_choice(*name, where.field("rounding"), {"nearest", "down"}) == 1;
    }
}

void read_zoom(Step &step, const Json &value, const Where &where) {
    check_fields(value, where, "step? factor? interpolation?");
    if (const Json *factor = value.find("factor")) {
        step.factor = read_real(*factor, where.field("factor"), 1 / MAX_ZOOM_FACTOR, MAX_ZOOM_FACTOR);
    }
    if (const Json *name = value.find("interpolation")) {
        step.interpolation = read_filter(*name, where.field("interpolation"));
    }
}

void read_crop(Step &step, const Json &value, const Where &where) {
    check_fields(value, where, "step? size?");
    if (step.kind == StepKind::RandomCrop) step.size = {100, 100};
    if (const Json *size = value.find("size")) step.size = read_size(*size, where.field("size"));
}

void read_pad(Step &step, const Json &value, const Where &where) {
    check_fields(value, where, "step? size? value? place?");
    if (const Json *size = value.find("size")) step.size = read_size(*size, where.field("size"));
    if (const Json *fill = value.find("value")) {
        bool one = fill->kind == Json::Kind::Integer && !fill->huge && fill->integer >= 0 && fill->integer <= 255;
        bool three = fill->kind == Json::Kind::List && fill->items.size() == 3;
        for (const Json &item : fill->items) {
            three = three && item.kind == Json::Kind::Integer && !item.huge && item.integer >= 0 && item.integer <= 255;
        }
        if (fill->kind == Json::Kind::Null) {
            step.value.clear();
        } else if (one) {
            step.value = {fill->integer};
        } else if (three) {
            step.value = {fill->items[0].integer, fill->items[1].integer, fill->items[2].integer};
        } else {
            refuse(where.field("value"), *fill, "another kind of value (see the JSON Schema)");
        }
    }
    if (const Json *place = value.find("place")) {
        step.top_left = read_choice(*place, where.field("place"), {"centre", "top-left"}) == 1;
    }
}

void read_normalise(Step &step, const Json &value, const Where &where) {
    check_fields(value, where, "step? mean? std? scale? order? layout?");
    if (const Json *mean = value.find("mean")) step.mean = read_values(*mean, where.field("mean"));
    if (const Json *std = value.find("std")) step.std = read_values(*std, where.field("std"));
    if (const Json *scale = given(value, "scale")) step.scale = read_real(*scale, where.field("scale"), 1e-9, 1e6);
    if (const Json *order = value.find("order")) {
        step.order = static_cast<Order>(read_choice(*order, where.field("order"), {"rgb", "bgr", "grey"}));
    }
    if (const Json *layout = value.find("layout")) {
        step.rows_of_pixels = read_choice(*layout, where.field("layout"), {"CHW", "HWC"}) == 1;
    }
}

void read_step(Step &step, const Json &value, const Where &where) {
    static const char *sorted[] = {"centre-crop", "normalise", "pad", "random-crop", "resize", "zoom"};
    static const StepKind kinds[] = {StepKind::CentreCrop, StepKind::Normalise, StepKind::Pad,
                                     StepKind::RandomCrop, StepKind::Resize,    StepKind::Zoom};
    const Json *name = value.kind == Json::Kind::Object ? value.find("step") : nullptr;
    static const Json nothing;
    size_t place = read_choice(name ? *name : nothing, where.field("step"),
                               {sorted[0], sorted[1], sorted[2], sorted[3], sorted[4], sorted[5]});
    step.kind = kinds[place];
    switch (step.kind) {
    case StepKind::Resize: read_resize(step, value, where); break;
    case StepKind::Zoom: read_zoom(step, value, where); break;
    case StepKind::CentreCrop:
    case StepKind::RandomCrop: read_crop(step, value, where); break;
    case StepKind::Pad: read_pad(step, value, where); break;
    case StepKind::Normalise: read_normalise(step, value, where); break;
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

Pipeline read_pipeline(const Json &value, const Where &where) {
    return read_items<Step>(value, where, 1, MAX_STEPS, read_step);
}

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
