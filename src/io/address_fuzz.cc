// Property: an address that parses writes itself as a text that parses to the same address.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "io/address.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  const auto address = penstock::io::Address::Parse(text);
  if (address && penstock::io::Address::Parse(address->ToString()) != *address) std::abort();
  return 0;
}
