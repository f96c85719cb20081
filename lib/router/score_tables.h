// The score tables by class, and which of them is in force.
#ifndef FASTCONTAINER_LIB_ROUTER_SCORE_TABLES_H_
#define FASTCONTAINER_LIB_ROUTER_SCORE_TABLES_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "fastcontainer/clock.h"
#include "lib/policy/score_table.h"

namespace fastcontainer {

// Any thread; a table that was found is used by one.
class ScoreTables {
 public:
  enum class Found : uint8_t { kTable, kMissing, kOld, kUndecodable };

  // In force until then, for the containers of this class; kAllClasses: of every class without its own.
  void Set(std::string_view class_name, std::shared_ptr<ScoreTable> table, Nanos until);
  void Remove(std::string_view class_name);
  // A newer version could not be read: the present one stays in force as long as it would have.
  void Refuse(std::string_view class_name);
  // Only kTable sets `out`. A class's own table that is old hides the one for all classes: who wrote it may
  // have meant to keep these containers from hosts that the other allows.
  Found Find(std::string_view class_name, Nanos now, std::shared_ptr<ScoreTable>* out) const;

 private:
  struct Entry {
    std::shared_ptr<ScoreTable> table;
    Nanos until = 0;
    bool refused = false;
  };

  mutable std::mutex mutex_;
  std::atomic<size_t> size_{0};  // who never had a table takes no lock
  absl::flat_hash_map<std::string, Entry> tables_;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_ROUTER_SCORE_TABLES_H_
