#include "lib/router/score_tables.h"

#include <utility>

#include "fastcontainer/records.h"
#include "lib/base/strings.h"

namespace fastcontainer {

void ScoreTables::Set(std::string_view class_name, std::shared_ptr<ScoreTable> table, Nanos until) {
  Entry entry{std::move(table), until, false};
  const std::lock_guard<std::mutex> lock(mutex_);
  std::swap(tables_[std::string(class_name)], entry);  // the old one ends without the lock
  size_ = tables_.size();
}

void ScoreTables::Remove(std::string_view class_name) {
  Entry entry;
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = tables_.find(Sv(class_name));
  if (found == tables_.end()) return;
  entry = std::move(found->second);
  tables_.erase(found);
  size_ = tables_.size();
}

void ScoreTables::Refuse(std::string_view class_name) {
  const std::lock_guard<std::mutex> lock(mutex_);
  tables_[std::string(class_name)].refused = true;
  size_ = tables_.size();
}

ScoreTables::Found ScoreTables::Find(std::string_view class_name, Nanos now,
                                     std::shared_ptr<ScoreTable>* out) const {
  if (size_ == 0) return Found::kMissing;
  const std::lock_guard<std::mutex> lock(mutex_);
  auto found = tables_.find(Sv(class_name));
  if (found == tables_.end()) found = tables_.find(Sv(kAllClasses));
  if (found == tables_.end()) return Found::kMissing;
  const Entry& entry = found->second;
  if (entry.table == nullptr || now >= entry.until) return entry.refused ? Found::kUndecodable : Found::kOld;
  *out = entry.table;
  return Found::kTable;
}

}  // namespace fastcontainer
