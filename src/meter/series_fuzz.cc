// Property: any bytes are read without harm, as a minute and as a day; a minute that was read is
// written and read again as the same.
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
  }
  (void)UnpackMinutes(bytes, 0, Sketches::kWithout, [](Minute, const EndpointMinute&) {});
}

}  // namespace penstock::meter

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  penstock::meter::CheckSeriesBytes({reinterpret_cast<const char*>(data), size});
  return 0;
}
