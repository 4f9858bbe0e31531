# What `cmake --install` puts where. The installed form asks nothing of a host's build but a C compiler: no Rust, torch
# or CUDA. libkeel finds libtorch in lib/torch/lib beside it (RUNPATH), which KEEL_BUNDLE_TORCH provides.

set(KEEL_BUNDLE_TORCH link CACHE STRING
  "lib/torch of the installed form: link (to the libtorch that keel was built with), copy, or none (the host provides it)")
set_property(CACHE KEEL_BUNDLE_TORCH PROPERTY STRINGS link copy none)
if(NOT KEEL_BUNDLE_TORCH MATCHES "^(link|copy|none)$")
  message(FATAL_ERROR "KEEL_BUNDLE_TORCH: expected link, copy or none, got '${KEEL_BUNDLE_TORCH}'")
endif()

include(CMakePackageConfigHelpers)
set(keel_package_directory "${CMAKE_INSTALL_LIBDIR}/cmake/keel")
configure_package_config_file(cmake/keelConfig.cmake.in keelConfig.cmake
  INSTALL_DESTINATION "${keel_package_directory}" PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(keelConfigVersion.cmake COMPATIBILITY SameMinorVersion)
file(RELATIVE_PATH keel_prefix_from_pkgconfig "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
configure_file(cmake/keel.pc.in keel.pc @ONLY)

install(FILES "${keel_build_directory}/libkeel.so" DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  RENAME "libkeel.so.${PROJECT_VERSION}"
  PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
install(DIRECTORY include/keel DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp" PATTERN "*.json")
install(FILES "${PROJECT_BINARY_DIR}/keelConfig.cmake" "${PROJECT_BINARY_DIR}/keelConfigVersion.cmake"
  DESTINATION "${keel_package_directory}")
install(FILES "${PROJECT_BINARY_DIR}/keel.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
install(FILES LICENSE-MIT LICENSE-APACHE CHANGELOG.md docs/algorithms.md docs/metrics.md
  DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/keel")
install(DIRECTORY docs/guide DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/keel")

# The quickstart of every language, at the distance from the bindings that it has in the checkout; what --fetch reads.
install(DIRECTORY examples/quickstart DESTINATION "${CMAKE_INSTALL_DATADIR}/keel/samples")
foreach(binding go csharp lua godot)
  if(EXISTS "${PROJECT_SOURCE_DIR}/bindings/${binding}")
    install(DIRECTORY "bindings/${binding}" DESTINATION "${CMAKE_INSTALL_DATADIR}/keel/bindings"
      PATTERN test EXCLUDE PATTERN tests EXCLUDE PATTERN "*_test.go" EXCLUDE PATTERN "*.py" EXCLUDE PATTERN __pycache__ EXCLUDE
      PATTERN nuget EXCLUDE PATTERN unity EXCLUDE PATTERN package EXCLUDE)
  endif()
endforeach()
install(FILES tools/wheels.py tools/torch/cpu.txt tools/torch/cuda.txt DESTINATION "${CMAKE_INSTALL_DATADIR}/keel/torch")
include(cmake/doctor.cmake)

install(CODE "
  set(libraries \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}\")
  set(torch \"${PROJECT_SOURCE_DIR}/target/libtorch/torch\")
  set(file libkeel.so.${PROJECT_VERSION})
  set(soname ${KEEL_SONAME})
  set(bundle ${KEEL_BUNDLE_TORCH})")
install(SCRIPT cmake/install_links.cmake)
