"""Network families: the teacher's and the nested student's."""
