// Prove, gathering: sends what a proof needs and keeps what came back. On the loop of its drivers,
// real or simulated.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "bench/drive/driver.h"
#include "bench/drive/progress.h"
#include "bench/prove/prove.h"
#include "io/task.h"

namespace penstock::bench {

// Most of a buyer's or a neighbour's requests under way at once. A request due beyond it counts as
// failed: an endpoint that lets so many wait keeps no promise.
inline constexpr int kProofInFlightMax = 20'000;

struct ProofDrivers {
  Driver* buyer = nullptr;      // Borrowed, fitted; its settings' lengths are those of the terms.
  Driver* neighbour = nullptr;  // Borrowed, on the same loop; null: there is none.
};

// Told where the proof stands, now and then.
using OnProofProgress = std::function<void(const ProgressState&)>;

// Fills `evidence` stage by stage, so that what was gathered is there when it is cancelled. To be
// run under Driver::RunStoppable() of the buyer.
io::Task<void> GatherProof(ProofDrivers drivers, const ProofTerms& terms, ProofEvidence& evidence,
                           OnProofProgress on_progress);

}  // namespace penstock::bench
