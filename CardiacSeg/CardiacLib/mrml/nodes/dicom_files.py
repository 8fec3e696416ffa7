"""Files of the DICOM database that a volume of the scene was loaded from."""


def files_of(volume) -> tuple[str, ...]:
    """The files of a volume's instance UIDs, which the DICOM module keeps in the Data tree.

    Empty of a volume that came another way, and where one of the files is no longer in the database; ``volume`` may be
    None.
    """
    import slicer

    database = getattr(slicer, "dicomDatabase", None)
    if volume is None or database is None:
        return ()
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    name = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMInstanceUIDName()
    uids = (tree.GetItemUID(tree.GetItemByDataNode(volume), name) or "").split()
    files = tuple(database.fileForInstance(uid) for uid in uids)
    return files if all(files) else ()
