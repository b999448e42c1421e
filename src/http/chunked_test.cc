// The chunked coding: payload, end and verdict, however the bytes are cut.
#include "http/chunked.h"

#include <gtest/gtest.h>

#include <string>

#include "base/random.h"

namespace penstock::http {
namespace {

struct Decoded {
  bool good = true;
  bool ended = false;
  std::string payload;
  std::size_t taken = 0;
  std::string message;

  bool operator==(const Decoded&) const = default;
};

// Feeds `bytes` in pieces of `step`.
Decoded Decode(std::string_view bytes, std::size_t step, const ChunkLimits& limits = {}) {
  ChunkedDecoder decoder;
  Decoded decoded;
  std::vector<std::string_view> pieces;
  while (decoded.taken < bytes.size() && !decoder.ended()) {
    pieces.clear();
    const auto taken = decoder.Decode(bytes.substr(decoded.taken, step), limits, pieces);
    for (const auto piece : pieces) decoded.payload += piece;
    if (!taken) return {false, false, {}, 0, taken.error().message};
    decoded.taken += *taken;
  }
  decoded.ended = decoder.ended();
  return decoded;
}

TEST(ChunkedDecoder, GivesThePayloadAndTheExactEnd) {
  const std::string body = "5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n";
  const auto decoded = Decode(body + "GET /next", 1000);
  EXPECT_TRUE(decoded.good && decoded.ended);
  EXPECT_EQ(decoded.payload, "hello0123456789");
  EXPECT_EQ(decoded.taken, body.size());
}

TEST(ChunkedDecoder, GivesViewsIntoTheBytes) {
  const std::string body = "5\r\nhello\r\n6\r\nworld!\r\n";
  ChunkedDecoder decoder;
  std::vector<std::string_view> pieces;
  ASSERT_EQ(decoder.Decode(body, {}, pieces), body.size());
  ASSERT_EQ(pieces.size(), 2u);
  EXPECT_EQ(pieces[0].data(), body.data() + 3);
  EXPECT_EQ(pieces[1].data(), body.data() + 13);
}

const std::string kBodies[] = {
    "0\r\n\r\n",
    "5\r\nhello\r\n0\r\n\r\n",
    "00005\r\nhello\r\n000\r\n\r\nx",
    "5;a=b;c=d;e\r\nhello\r\n0;last\r\nx-trailer: 1\r\ny:\r\n\r\nnext",
    "ff\r\n" + std::string(255, 'z') + "\r\n3\r\na\r\n\r\n0\r\n\r\n",
    "5\r\nhelloX\r\n0\r\n\r\n",
    "5\r\nhello\n0\r\n\r\n",
    "5\nhello\r\n0\r\n\r\n",
    "5\r\nhello\r\n0\r\n\n",
    "5\r\nhello\r\n0\n\r\n",
    "5 \r\nhello\r\n0\r\n\r\n",
    " 5\r\nhello\r\n0\r\n\r\n",
    "5 ;a\r\nhello\r\n0\r\n\r\n",
    "0x5\r\nhello\r\n0\r\n\r\n",
    "-5\r\nhello\r\n0\r\n\r\n",
    "+5\r\nhello\r\n0\r\n\r\n",
    "\r\n5\r\nhello\r\n0\r\n\r\n",
    ";a\r\n",
    "g\r\n",
    "5;a=\"b\"\r\nhello\r\n0\r\n\r\n",
    "5;a=b \r\nhello\r\n0\r\n\r\n",
    "5;\r\nhello\r\n0\r\n\r\n",
    "5;=b\r\nhello\r\n0\r\n\r\n",
    "5;a=\r\nhello\r\n0\r\n\r\n",
    "5;a=b=c\r\nhello\r\n0\r\n\r\n",
    "5;a;;b\r\nhello\r\n0\r\n\r\n",
    "5;a\nb\r\nhello\r\n0\r\n\r\n",
    "5;a\rb\r\nhello\r\n0\r\n\r\n",
    std::string("5;a\0b\r\nhello\r\n0\r\n\r\n", 19),
    "0\r\n folded: 1\r\n\r\n",
    "0\r\nno colon\r\n\r\n",
    "0\r\n: no name\r\n\r\n",
    "0\r\nx: a\nb\r\n\r\n",
    "0\r\nx\r\n\r\n",
    "10000000000000000\r\n",
    "FFFFFFFFFFFFFFFF\r\nabc",
    "00000000000000005\r\nhello\r\n0\r\n\r\n",
};

TEST(ChunkedDecoder, IsBlindToCuts) {
  for (const std::string& body : kBodies) {
    const Decoded whole = Decode(body, body.size());
    for (std::size_t step = 1; step < body.size(); ++step) {
      const Decoded cut = Decode(body, step);
      EXPECT_EQ(cut, whole) << body << " in steps of " << step << ": " << whole.message << " / "
                            << cut.message;
    }
  }
}

TEST(ChunkedDecoder, RefusesEverythingThatIsNotExact) {
  for (const std::string& body : kBodies) {
    const bool good = &body - kBodies < 5 || body.starts_with("FFFF");
    EXPECT_EQ(Decode(body, 1000).good, good) << body;
  }
}

TEST(ChunkedDecoder, HoldsItsLimitsAtTheLimitAndOneOver) {
  const ChunkLimits limits{.size_digits_max = 8, .extension_bytes_max = 5, .trailer_bytes_max = 10};
  const auto digits = [&](std::size_t n) {
    return Decode(std::string(n - 1, '0') + "1\r\nx\r\n0\r\n\r\n", 100, limits);
  };
  EXPECT_TRUE(digits(8).ended);
  EXPECT_EQ(digits(9).message, "chunked body: a size has more than 8 digits");
  EXPECT_TRUE(Decode("1;12345\r\nx\r\n0\r\n\r\n", 100, limits).ended);
  EXPECT_EQ(Decode("1;123456\r\nx\r\n0\r\n\r\n", 100, limits).message,
            "chunked body: extensions are longer than 5 bytes");
  // CRs count, LFs do not: the limit is on memory's side of exactness, not on the grammar's.
  EXPECT_TRUE(Decode("0\r\na: 456789\r\n\r\n", 100, limits).ended);
  EXPECT_EQ(Decode("0\r\na: 4567890\r\n\r\n", 100, limits).message,
            "chunked body: trailers are longer than 10 bytes");
}

// Any chunks, any cuts: the payload comes back, and raw pieces make up the message.
TEST(ChunkedDecoder, KeepsItsPromisesForRandomBodies) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    Random random(seed);
    std::string body;
    std::string payload;
    for (std::uint64_t chunk = random.Below(6); chunk > 0; --chunk) {
      const std::string data(1 + random.Below(300), static_cast<char>('a' + random.Below(26)));
      AppendChunkSize(data.size(), body);
      body += data + "\r\n";
      payload += data;
    }
    body += "0\r\n\r\n";
    const std::size_t end = body.size();
    body += std::string(random.Below(20), '1');
    ChunkedDecoder decoder;
    std::string got;
    std::size_t at = 0;
    while (!decoder.ended()) {
      std::vector<std::string_view> pieces;
      const auto taken =
          decoder.Decode(std::string_view(body).substr(at, 1 + random.Below(400)), {}, pieces);
      ASSERT_TRUE(taken);
      at += *taken;
      for (const auto piece : pieces) got += piece;
    }
    EXPECT_EQ(got, payload);
    EXPECT_EQ(at, end);
  }
}

}  // namespace
}  // namespace penstock::http
