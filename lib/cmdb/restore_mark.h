// Notices that the store was put back to an older copy: the record /fc/v1/restored is another one than before
// (docs/protocol.md, "A store that went back").
#ifndef FASTCONTAINER_LIB_CMDB_RESTORE_MARK_H_
#define FASTCONTAINER_LIB_CMDB_RESTORE_MARK_H_

#include <cstdint>
#include <functional>
#include <random>
#include <string>

#include "fastcontainer/cmdb.h"
#include "fastcontainer/reactor.h"

namespace fastcontainer {

inline constexpr const char* kRestoredKey = "/fc/v1/restored";

// Belongs to the loop's thread; the Cmdb and the Reactor must outlive it. It is watched, and read each 10 s
// as well: a watch knows a place in a history that may be no more.
class RestoreMark {
 public:
  // `restored` runs when the record is another one than at the first reading.
  RestoreMark(Cmdb& cmdb, Reactor& reactor, std::function<void()> restored, uint64_t seed);
  ~RestoreMark();
  RestoreMark(const RestoreMark&) = delete;
  RestoreMark& operator=(const RestoreMark&) = delete;

  // Known: the record was read. What is written in belief of the present history is compared with it.
  // Reads it now: a write has met what cannot be.
  void Look();
  bool known() const { return known_; }
  uint64_t revision() const { return revision_; }  // 0: the record is absent

 private:
  void Looked(const absl::StatusOr<ListPage>& page);
  void Event(const WatchEvent& event);
  void LookIn(Nanos delay);

  Cmdb& cmdb_;
  Reactor& reactor_;
  const std::function<void()> restored_;
  std::minstd_rand random_;
  std::string value_;  // "": the record is absent
  uint64_t revision_ = 0;
  bool known_ = false;
  bool again_ = false;  // it may have changed while it was being read
  Cmdb::OpId list_ = 0;
  Cmdb::OpId watch_ = 0;
  Reactor::TimerId timer_ = 0;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_CMDB_RESTORE_MARK_H_
