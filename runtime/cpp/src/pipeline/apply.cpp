#include "pipeline/apply.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "base/errors.h"
#include "base/limits.h"
#include "base/text.h"
#include "pipeline/resampling.h"

namespace ob {

namespace {

// Random whole numbers by splitmix64: the same seed gives the same crops in every runtime.
class Draws {
  public:
    Draws(uint64_t seed, uint64_t index) : state_(seed + index * 0xd1342543de82ef95u) {}

    // From 0 to bound - 1: the high half of a 128-bit product.
    int64_t below(int64_t bound) {
        state_ += 0x9e3779b97f4a7c15u;
        uint64_t z = state_;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        __extension__ using Wide = unsigned __int128;
        return static_cast<int64_t>((Wide{z ^ (z >> 31)} * static_cast<uint64_t>(bound)) >> 64);
    }

  private:
    uint64_t state_;
};

int64_t half_even(double value) { return static_cast<int64_t>(std::nearbyint(value)); }

struct Extent {
    int64_t width, height;
};

// The size that a step makes of an image. Throws ImageTooLarge.
Extent resized_extent(const Step &step, Extent size) {
    auto width = static_cast<double>(size.width), height = static_cast<double>(size.height);
    Extent found = size;
    if (step.kind == StepKind::Zoom) {
        found = {half_even(width * step.factor), half_even(height * step.factor)};
    } else if (step.shorter) { // as torchvision: the longer side is rounded down
        int64_t small = std::min(size.width, size.height), large = std::max(size.width, size.height);
        int64_t longer = static_cast<int64_t>(static_cast<double>(*step.shorter * large) / static_cast<double>(small));
        found = size.width <= size.height ? Extent{*step.shorter, longer} : Extent{longer, *step.shorter};
    } else if (!step.fit.empty()) {
        double scale = std::min(static_cast<double>(step.fit[0]) / height, static_cast<double>(step.fit[1]) / width);
        if (!step.enlarge) scale = std::min(scale, 1.0);
        auto whole = [&](double side) { return step.round_down ? static_cast<int64_t>(side) : half_even(side); };
        found = {std::min(std::max<int64_t>(1, whole(width * scale)), step.fit[1]),
                 std::min(std::max<int64_t>(1, whole(height * scale)), step.fit[0])};
    } else if (!step.exact.empty()) {
        found = {step.exact[1], step.exact[0]};
    }
    found = {std::max<int64_t>(1, found.width), std::max<int64_t>(1, found.height)};
    std::string name = str("the image (", size.width, "x", size.height, ") after resizing");
    check_pixels(found.width, found.height, name, MAX_IMAGE_MEGAPIXELS);
    return found;
}

// The picture on a canvas; `value` holds one number for all channels, or one each.
Picture on_canvas(const Picture &picture, Extent size, const Shape &value, int64_t left, int64_t top) {
    Picture found(size.width, size.height, picture.channels);
    uint8_t *out = found.pixels.data();
    for (size_t i = 0; i < found.pixels.bytes(); ++i) {
        size_t channel = value.size() > 1 ? i % static_cast<size_t>(picture.channels) : 0;
        out[i] = static_cast<uint8_t>(value[channel]);
    }
    for (int64_t y = 0; y < picture.height; ++y) {
        std::memcpy(found.row(top + y) + left * picture.channels, picture.row(y), picture.row_bytes());
    }
    return found;
}

// What the last step makes of the pixels; outside of `inner` everything is 0.
Prepared normalised(const Picture &picture, const Step &step, const std::optional<Area> &inner, const Frame &frame) {
    int64_t channels = picture.channels, width = picture.width, height = picture.height;
    Prepared found;
    found.frame = frame;
    found.shape = step.rows_of_pixels ? Shape{height, width, channels} : Shape{channels, height, width};
    found.data = AlignedBytes(static_cast<size_t>(channels * height * width) * sizeof(float));
    float *out = reinterpret_cast<float *>(found.data.data());
    if (inner) std::memset(out, 0, found.data.bytes());
    Area area = inner ? *inner : Area{0, 0, width, height};
    for (int64_t c = 0; c < channels; ++c) {
        float table[256];
        float mean = static_cast<float>(step.mean[static_cast<size_t>(c) % step.mean.size()]);
        float std = static_cast<float>(step.std[static_cast<size_t>(c) % step.std.size()]);
        for (int i = 0; i < 256; ++i) {
            float value = static_cast<float>(i);
            value = step.scale ? value * static_cast<float>(*step.scale) : value / 255.0f;
            table[i] = (value - mean) / std;
        }
        int64_t plane = step.order == Order::Bgr ? 2 - c : c;
        for (int64_t y = area.top; y < area.top + area.height; ++y) {
            const uint8_t *in = picture.row(y) + area.left * channels + c;
            float *row = step.rows_of_pixels ? out + (y * width + area.left) * channels + plane
                                             : out + (plane * height + y) * width + area.left;
            int64_t apart = step.rows_of_pixels ? channels : 1;
            for (int64_t x = 0; x < area.width; ++x, in += channels, row += apart) *row = table[*in];
        }
    }
    return found;
}

// What steps do to a picture, one after the other.
class Application {
  public:
    Application(Picture picture, uint64_t seed, uint64_t index)
        : picture_(std::move(picture)), frame_(Frame::of(picture_.width, picture_.height)), draws_(seed, index) {}

    // A resize; a crop that follows it is done with it, as nothing else of the picture is needed. Returns how many
    // steps that were.
    size_t resize(const Step &step, const Step *next) {
        Extent size = resized_extent(step, {picture_.width, picture_.height});
        frame_.resize(size.width, size.height);
        Area window{0, 0, size.width, size.height};
        bool cuts = next && is_crop(*next) && next->size[0] <= size.height && next->size[1] <= size.width;
        if (cuts) window = corner(*next, size);
        picture_ = resized(picture_, size.width, size.height, step.interpolation, window);
        if (cuts) frame_.crop(window.left, window.top, window.width, window.height);
        return cuts ? 2 : 1;
    }

    void crop(const Step &step) { // a smaller picture is padded first, as torchvision does
        Extent size{std::max(picture_.width, step.size[1]), std::max(picture_.height, step.size[0])};
        if (size.width != picture_.width || size.height != picture_.height) {
            int64_t left = (size.width - picture_.width) / 2, top = (size.height - picture_.height) / 2;
            picture_ = on_canvas(picture_, size, {0}, left, top);
            frame_.crop(-left, -top, size.width, size.height);
        }
        Area area = corner(step, size);
        picture_ = resized(picture_, size.width, size.height, Filter::Nearest, area);
        frame_.crop(area.left, area.top, area.width, area.height);
    }

    void pad(const Step &step) {
        int64_t right = step.size[1] - picture_.width, down = step.size[0] - picture_.height;
        if (right < 0 || down < 0) {
            fail(OVENBIRD_PIPELINE_ERROR, "pad to ", step.size[1], "x", step.size[0], " cannot hold an image of ",
                 picture_.width, "x", picture_.height, ": resize or crop it before");
        }
        int64_t left = step.top_left ? 0 : right / 2, top = step.top_left ? 0 : down / 2;
        inner_.reset();
        if (step.value.empty()) inner_ = Area{left, top, picture_.width, picture_.height};
        Shape value = step.value.empty() ? Shape{0} : step.value;
        picture_ = on_canvas(picture_, {step.size[1], step.size[0]}, value, left, top);
        frame_.crop(-left, -top, step.size[1], step.size[0]);
    }

    Prepared normalise(const Step &step) const { return normalised(picture_, step, inner_, frame_); }

  private:
    static bool is_crop(const Step &step) {
        return step.kind == StepKind::CentreCrop || step.kind == StepKind::RandomCrop;
    }

    Area corner(const Step &step, Extent size) {
        int64_t right = size.width - step.size[1], down = size.height - step.size[0];
        Area area{0, 0, step.size[1], step.size[0]};
        if (step.kind == StepKind::CentreCrop) {
            area.left = half_even(static_cast<double>(right) / 2);
            area.top = half_even(static_cast<double>(down) / 2);
        } else {
            area.top = draws_.below(down + 1);
            area.left = draws_.below(right + 1);
        }
        return area;
    }

    Picture picture_;
    Frame frame_;
    Draws draws_;
    std::optional<Area> inner_;
};

} // namespace

Prepared prepare(const Pipeline &pipeline, Picture picture, uint64_t seed, uint64_t index) {
    std::string wrong = problem(pipeline);
    if (!wrong.empty()) fail(OVENBIRD_PIPELINE_ERROR, wrong);
    const Step &last = pipeline.back();
    bool normalises = last.kind == StepKind::Normalise;
    Application applied(normalises && last.order == Order::Grey ? grey(picture) : std::move(picture), seed, index);
    for (size_t place = 0; place < pipeline.size();) {
        const Step &step = pipeline[place];
        const Step *next = place + 1 < pipeline.size() ? &pipeline[place + 1] : nullptr;
        size_t done = 1;
        switch (step.kind) {
        case StepKind::Resize:
        case StepKind::Zoom: done = applied.resize(step, next); break;
        case StepKind::CentreCrop:
        case StepKind::RandomCrop: applied.crop(step); break;
        case StepKind::Pad: applied.pad(step); break;
        case StepKind::Normalise: break; // the last
        }
        place += done;
    }
    return applied.normalise(normalises ? last : Step());
}

} // namespace ob
