#include "engine/fair_share.h"

#include <gtest/gtest.h>

#include <string>

namespace penstock::engine {
namespace {

TEST(FairShare, WhoArrivesGetsNoClaimOnThePast) {
  FairShare shares;
  auto* busy = shares.Arrive("busy");
  FairShare::Charge(busy, 1000);
  auto* late = shares.Arrive("late");
  EXPECT_EQ(late->counter, 1000);
  FairShare::Charge(late, 10);
  EXPECT_LT(busy->counter, late->counter);
}

TEST(FairShare, BeingServedAloneIsNotPaidForLater) {
  FairShare shares;
  auto* alone = shares.Arrive("alone");
  FairShare::Charge(alone, 5000);
  shares.Leave(alone);
  auto* next = shares.Arrive("next");
  EXPECT_EQ(next->counter, 5000);
  EXPECT_EQ(shares.Arrive("alone")->counter, 5000);
}

TEST(FairShare, AnActiveCallerKeepsItsCounter) {
  FairShare shares;
  auto* first = shares.Arrive("a");
  FairShare::Charge(first, 300);
  auto* other = shares.Arrive("b");
  FairShare::Charge(other, 500);
  EXPECT_EQ(shares.Arrive("a"), first);
  EXPECT_EQ(first->counter, 300);
  shares.Leave(first);
  shares.Leave(first);
  EXPECT_EQ(shares.Arrive("a")->counter, 800);
}

TEST(FairShare, RemembersOnlySoManyIdleCallers) {
  FairShare shares;
  auto* kept = shares.Arrive("kept");
  FairShare::Charge(kept, 7);
  for (std::size_t i = 0; i < 3 * FairShare::kIdleCallersMax; ++i) {
    shares.Leave(shares.Arrive(std::to_string(i)));
    ASSERT_LE(shares.callers(), FairShare::kIdleCallersMax + 1);
  }
  EXPECT_EQ(kept->counter, 7);
}

}  // namespace
}  // namespace penstock::engine
