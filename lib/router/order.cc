// What orders the hosts for a container: the user's policy, a score table, or the built-in policy.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "fastcontainer/records.h"
#include "lib/router/core.h"

namespace fastcontainer {

size_t Router::Core::Order(const PlacementRequest& request, const HostTable& table,
                           absl::Span<uint32_t> rows) {
  size_t count = 0;
  if (policy_ != nullptr && OrderByPolicy(request, table, rows, &count)) return count;
  std::shared_ptr<ScoreTable> scores;
  switch (FindScores(request.class_name, &scores)) {
    case ScoreTables::Found::kTable:
      ++stats_.by_scores;
      return scores->Place(request, table, rows);
    case ScoreTables::Found::kMissing:
      ++stats_.scores_missing;
      break;
    case ScoreTables::Found::kOld:
      ++stats_.scores_old;
      break;
    case ScoreTables::Found::kUndecodable:
      ++stats_.scores_undecodable;
      break;
  }
  return built_in_policy_.Place(request, table, rows);
}

// False: it declines, or its answer is out of range or names a host twice.
bool Router::Core::OrderByPolicy(const PlacementRequest& request, const HostTable& table,
                                 absl::Span<uint32_t> rows, size_t* count) {
  const size_t n = policy_->Place(request, table, rows);
  if (n == Policy::kDeclined) return false;
  bool good = n <= rows.size();
  for (size_t i = 0; good && i < n; ++i)
    good = rows[i] < table.size && std::find(rows.begin(), rows.begin() + i, rows[i]) == rows.begin() + i;
  if (good) {
    ++stats_.by_policy;
    *count = n;
    return true;
  }
  ++stats_.policy_fallbacks;
  // One that is always wrong would otherwise fill the log.
  if (const Nanos now = reactor_.Now(); now >= policy_silent_until_) {
    policy_silent_until_ = now + kSecond;
    Log(LogLevel::kWarning, absl::StrCat("the policy's answer for ", std::string(request.container),
                                         " cannot be used: scores or the built-in policy decide"));
  }
  return false;
}

ScoreTables::Found Router::Core::FindScores(std::string_view class_name,
                                            std::shared_ptr<ScoreTable>* out) const {
  const Nanos now = reactor_.Now();
  auto given = ScoreTables::Found::kMissing;
  if (given_scores_ != nullptr) given = given_scores_->Find(class_name, now, out);
  if (given == ScoreTables::Found::kTable) return given;
  const ScoreTables::Found published = published_scores_.Find(class_name, now, out);
  return published == ScoreTables::Found::kMissing ? given : published;
}

void Router::Core::OnScores(std::string_view class_name, const std::string* json) {
  if (json == nullptr) return published_scores_.Remove(class_name);
  const Nanos now = reactor_.Now();
  const absl::StatusOr<Scores> scores = DecodeScores(*json);
  if (scores.ok()) {
    auto table = std::make_shared<ScoreTable>(scores->hosts.size());
    for (const HostScore& host : scores->hosts) table->Add(host.host, host.score);
    return published_scores_.Set(class_name, std::move(table), now + scores->valid);
  }
  ++stats_.records_refused;
  published_scores_.Refuse(class_name);
  if (now < scores_silent_until_) return;
  scores_silent_until_ = now + kSecond;
  Log(LogLevel::kError, std::string(InRecord(RecordKind::kScores, class_name, scores.status()).message()));
}

}  // namespace fastcontainer
