// The short way gives what zlib gives, for every length and however the bytes are cut.
#include "meter/checksum.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <random>
#include <string>

#include "base/random.h"

namespace penstock::meter {
namespace {

std::uint32_t Zlib(std::string_view bytes) {
  return static_cast<std::uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size())));
}

TEST(Checksum, IsTheStandardOne) {
  EXPECT_EQ(Checksum(0, ""), 0u);
  EXPECT_EQ(Checksum(0, "123456789"), 0xCBF43926u);
}

TEST(Checksum, IsZlibsForEveryLengthAndCut) {
  const std::uint64_t seed = std::random_device()();
  SCOPED_TRACE(seed);
  Random random(seed);
  for (std::size_t size = 0; size < 700; ++size) {
    std::string bytes(size, '\0');
    for (char& c : bytes) c = static_cast<char>(random.Below(256));
    const std::string_view all = bytes;
    ASSERT_EQ(Checksum(0, all), Zlib(all)) << size;
    const std::size_t cut = random.Below(size + 1);
    ASSERT_EQ(Checksum(Checksum(0, all.substr(0, cut)), all.substr(cut)), Zlib(all)) << size;
  }
}

}  // namespace
}  // namespace penstock::meter
