// The edge of the C ABI: no exception crosses it.
#ifndef FASTCONTAINER_CAPI_GUARD_H_
#define FASTCONTAINER_CAPI_GUARD_H_

#include <exception>
#include <new>
#include <utility>

#include "capi/convert.h"

namespace fastcontainer::capi {

template <typename Function>
int32_t Guard(fc_error* error, Function&& function) noexcept {
  try {
    return std::forward<Function>(function)();
  } catch (const std::bad_alloc&) {
    return Fail(error, FC_E_NOMEM, "out of memory");
  } catch (const std::exception& exception) {
    return Fail(error, FC_E_SYSTEM, exception.what());
  } catch (...) {
    return Fail(error, FC_E_SYSTEM, "an exception of an unknown type");
  }
}

}  // namespace fastcontainer::capi

#endif  // FASTCONTAINER_CAPI_GUARD_H_
