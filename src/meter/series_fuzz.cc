// Property: any bytes are read without harm, as a minute and as a day; a minute that was read is
// written and read again as the same, alone and within a day.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "meter/series.h"

namespace penstock::meter {

void CheckSeriesBytes(std::string_view bytes) {
  EndpointMinute minute;
  if (Decode(bytes, Sketches::kWith, minute)) {
    EndpointMinute sorted;  // Keys may come twice, or in another order.
    sorted.Merge(minute);
    std::string again;
    Encode(sorted, Sketches::kWith, again);
    EndpointMinute second;
    if (!Decode(again, Sketches::kWith, second) || second != sorted) std::abort();
    const DayBytes day = PackDay({{5, sorted}}, 0, true);
    const auto same = [&](Minute, const EndpointMinute& read) {
      if (read != sorted) std::abort();
    };
    if (!UnpackDay(day.numbers, day.sketches, 0, Columns::All(), same)) std::abort();
  }
  const auto ignore = [](Minute, const EndpointMinute&) {};
  (void)UnpackOldDay(bytes, 0, Sketches::kWithout, ignore);
  (void)UnpackDay(bytes, {}, 0, Columns::Numbers(), ignore);
}

}  // namespace penstock::meter

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  penstock::meter::CheckSeriesBytes({reinterpret_cast<const char*>(data), size});
  return 0;
}
