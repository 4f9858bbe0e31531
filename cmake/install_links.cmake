# Runs at install time: the names of libkeel (SONAME for hosts that were linked, plain for those that load it by name) and
# the libtorch beside it. Takes `libraries` (the directory), `file`, `soname`, `torch` and `bundle` (link, copy or none).

file(CREATE_LINK "${file}" "${libraries}/${soname}" SYMBOLIC)
file(CREATE_LINK "${soname}" "${libraries}/libkeel.so" SYMBOLIC)

set(place "${libraries}/torch")
if(NOT bundle STREQUAL "none")
  if(EXISTS "${place}" AND NOT IS_SYMLINK "${place}")
    message(FATAL_ERROR "${place} is there and was not made by keel; install with KEEL_BUNDLE_TORCH=none")
  endif()
  file(REAL_PATH "${torch}" torch)
endif()
if(bundle STREQUAL "link")
  message(STATUS "Linking: ${place} -> ${torch} (KEEL_BUNDLE_TORCH=copy for users who cannot read that)")
  file(CREATE_LINK "${torch}" "${place}" SYMBOLIC)
elseif(bundle STREQUAL "copy")
  # libtorch looks for the CUDA libraries in ../../nvidia, from its own place: both go into a directory of keel's.
  message(STATUS "Copying: ${torch} to ${libraries}/keel/torch")
  cmake_path(GET torch PARENT_PATH site)
  file(COPY "${torch}/lib" DESTINATION "${libraries}/keel/torch" FILES_MATCHING PATTERN "*.so*")
  if(EXISTS "${site}/nvidia")
    file(COPY "${site}/nvidia" DESTINATION "${libraries}/keel" FILES_MATCHING PATTERN "lib/*.so*")
  endif()
  file(GLOB notices "${site}/torch-*.dist-info" "${site}/nvidia_*.dist-info")
  if(notices)
    file(COPY ${notices} DESTINATION "${libraries}/keel/licenses" FILES_MATCHING
      REGEX "/(LICEN[CS]E|NOTICE|License|licenses/)[^/]*")
  endif()
  file(CREATE_LINK "keel/torch" "${place}" SYMBOLIC)
endif()
