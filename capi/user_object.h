// What a user gives with a vtable: its user_data, and the vtable's destroy.
#ifndef FASTCONTAINER_CAPI_USER_OBJECT_H_
#define FASTCONTAINER_CAPI_USER_OBJECT_H_

#include <memory>
#include <utility>

namespace fastcontainer::capi {

// Destroyed with the driver that holds it, unless the call that took it has failed: then it is still the
// user's.
class UserObject {
 public:
  UserObject(void* data, void (*destroy)(void*), std::shared_ptr<const bool> taken)
      : data_(data), destroy_(destroy), taken_(std::move(taken)) {}
  ~UserObject() {
    if (destroy_ != nullptr && *taken_) destroy_(data_);
  }
  UserObject(const UserObject&) = delete;
  UserObject& operator=(const UserObject&) = delete;

  void* data() const { return data_; }

 private:
  void* const data_;
  void (*const destroy_)(void*);
  const std::shared_ptr<const bool> taken_;
};

}  // namespace fastcontainer::capi

#endif  // FASTCONTAINER_CAPI_USER_OBJECT_H_
