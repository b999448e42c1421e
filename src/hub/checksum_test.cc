#include "hub/checksum.h"

#include <gtest/gtest.h>

namespace penstock::hub {
namespace {

// Published values.
TEST(Checksum, KnowsTheEmptyText) {
  EXPECT_EQ(Checksum::Sha256().Hex(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Checksum::GitBlob(0).Hex(), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
}

TEST(Checksum, IsTheSameInPieces) {
  Checksum whole = Checksum::Sha256();
  whole.Update("abcdef");
  Checksum pieces = Checksum::Sha256();
  for (const char* piece : {"ab", "", "cdef"}) pieces.Update(piece);
  EXPECT_EQ(whole.Hex(), pieces.Hex());
  Checksum git = Checksum::GitBlob(6);
  git.Update("hello\n");
  EXPECT_EQ(git.Hex(), "ce013625030ba8dba906f756967f9e9ca394464a");
}

}  // namespace
}  // namespace penstock::hub
