// The shortest decimals of doubles: that they read back, that nothing shorter does.
#include "check.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/decimal.h"
#include "base/text.h"

namespace {

bool reads_back(uint64_t digits, int exponent, double number) {
    char text[40];
    std::snprintf(text, sizeof text, "%lue%d", static_cast<unsigned long>(digits), exponent);
    return std::strtod(text, nullptr) == number;
}

// It reads back, nothing shorter does, and none that is as long is closer.
bool is_shortest(double number) {
    ob::Decimal found = ob::shortest(number);
    if (!reads_back(found.digits, found.exponent, number)) return false;
    uint64_t fewer = found.digits / 10;
    if (fewer && (reads_back(fewer, found.exponent + 1, number) || reads_back(fewer + 1, found.exponent + 1, number))) {
        return false;
    }
    char closest[40];
    int digits = static_cast<int>(std::to_string(found.digits).size());
    std::snprintf(closest, sizeof closest, "%.*e", digits - 1, number);
    bool same = ob::str(found.digits) == ob::join(ob::split(std::string(closest, std::strchr(closest, 'e')), "."), "");
    return same || std::strtod(closest, nullptr) != number;
}

} // namespace

void test_decimals() {
    uint64_t bits = 0x9e3779b97f4a7c15;
    for (int i = 0; i < 10000; ++i) { // of every size; as a confidence is; and single precision's
        bits = bits * 6364136223846793005 + 1442695040888963407;
        uint64_t places = bits >> 1 & ~(uint64_t{0x7ff} << 52), exponent = (bits >> 20) % 0x7ff;
        double numbers[] = {0, static_cast<double>(bits >> 11) * 0x1p-53, 0, static_cast<double>(bits >> 40) / 1000};
        places |= exponent << 52;
        std::memcpy(&numbers[0], &places, sizeof places);
        numbers[2] = static_cast<double>(static_cast<float>(numbers[1] * 640));
        for (double number : numbers) {
            if (number > 0 && !is_shortest(number)) CHECK(ob::format("%a", number) == "the shortest");
        }
    }
    for (int power = -1074; power <= 1023; ++power) {
        double number = std::ldexp(1.0, power);
        CHECK(is_shortest(number) && is_shortest(std::nextafter(number, HUGE_VAL)));
        CHECK(power == -1074 || is_shortest(std::nextafter(number, 0.0)));
    }
}
